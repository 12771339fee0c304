// One backbone: its credits, and what waits for them.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "budgetmem/core.hpp"
#include "prefix_groups.hpp"
#include "record.hpp"
#include "slots.hpp"
#include "tenant_line.hpp"
#include "tenant_ring.hpp"

namespace budgetmem {

class Lane {
 public:
  // `records` outlives the lane.
  Lane(const Backbone& plan, std::uint32_t quantum, Records& records);

  // The place of one queue more; before anything waits.
  std::uint32_t add_queue() noexcept { return queues_++; }

  // The line of a tenant, made if there is none; then something must be admitted to it.
  std::uint32_t line_of(std::uint32_t tenant);
  [[nodiscard]] std::uint32_t waiting(std::uint32_t line, std::uint32_t place) const noexcept {
    return lines_[line].waiting(place);
  }
  // Puts a new item in line; its record names the line. Sets the group of the record.
  void admit(ItemId id, std::uint64_t group);
  // An item that waited is not in the records any more.
  void withdraw(const Record& record);

  // Whether looking at the ring may lead to a dispatch.
  [[nodiscard]] bool can_dispatch() const noexcept {
    return in_use_ < credits_ && ring_.size() > 0;
  }
  [[nodiscard]] bool busy() const noexcept { return in_use_ > 0; }
  // Takes a credit and the items of a dispatch, which become `taken`, the seed first. False if
  // nothing may go; a free credit is required.
  bool dispatch(Nanoseconds now, std::vector<ItemId>& taken);

  void first_token(ItemId id);
  void finish(ItemId id, bool ok);  // an item in flight, still in the records
  void return_credit() noexcept { --in_use_; }
  void set_credits(std::uint32_t credits) noexcept { credits_ = credits; }

  // See PrefixGroups.
  void begin_pass() noexcept { groups_.begin_pass(); }
  void release_overdue(Nanoseconds now);
  [[nodiscard]] Nanoseconds next_release() { return groups_.next_release(); }

  [[nodiscard]] BackboneStats stats() const;

 private:
  ItemId find_seed();
  void fill(ItemId seed, Nanoseconds now, std::vector<ItemId>& taken);
  [[nodiscard]] bool has_tokens_for(std::size_t count, std::uint32_t longest) const noexcept;
  void skip_rounds();

  // The most urgent item that may go, of any or of one bucket, 0 if there is none. Members of led
  // groups that are met on the way are set aside.
  template <typename... Bucket>
  ItemId head(std::uint32_t line, Bucket... bucket);
  bool set_aside(ItemId id);

  void enter(ItemId id, const Record& record);
  void take(ItemId id, Nanoseconds now);
  void free_held();  // puts those of `freed_` back in line
  void forget_if_idle(std::uint32_t line);

  Backbone plan_;
  std::int64_t quantum_;
  Records* records_;
  std::uint32_t queues_ = 0;
  Pool<TenantLine> lines_;
  std::unordered_map<std::uint32_t, std::uint32_t> by_tenant_;
  TenantRing ring_;
  PrefixGroups groups_;
  std::vector<ItemId> freed_;
  std::uint64_t credits_;
  std::uint64_t in_use_ = 0;
  BackboneStats counts_;  // without the credits
};

}  // namespace budgetmem
