// The book-keeping that the property test holds a Core against: what was accepted, what became of
// it, and which rules of docs/scheduling.md every event must keep.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "budgetmem/core.hpp"

namespace budgetmem::testing {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void expect(bool holds, const char* rule) {
  if (!holds) {
    throw Violation(rule);
  }
}

// Ids that can be drawn at random and removed, both in O(1).
class IdBag {
 public:
  void add(ItemId id) {
    places_[id] = ids_.size();
    ids_.push_back(id);
  }
  void remove(ItemId id) {
    const std::size_t place = places_.at(id);
    places_[ids_.back()] = place;
    ids_[place] = ids_.back();
    ids_.pop_back();
    places_.erase(id);
  }
  [[nodiscard]] bool has(ItemId id) const { return places_.contains(id); }
  [[nodiscard]] const std::vector<ItemId>& ids() const { return ids_; }

 private:
  std::vector<ItemId> ids_;
  std::unordered_map<ItemId, std::size_t> places_;
};

// Of two tenants at one backbone, while both have work that nothing holds up.
struct Race {
  bool running = false;
  std::int64_t lead = 0;  // tokens served to the one more than to the other
  std::int64_t least = 0;
  std::int64_t most = 0;
};

class Model {
 public:
  static constexpr std::uint32_t kTenants = 5;
  static constexpr std::uint32_t kLongest = 200;  // tokens

  explicit Model(const Plan& plan);

  // The calls, with what the core answered.
  void submitted(const Item& item, Nanoseconds now, ItemId id, Admission answer);
  void cancelled(ItemId id, bool done);
  void finished(ItemId id, bool ok, bool done);
  void read(ItemId id);
  void set_credits(std::uint32_t backbone, std::uint32_t credits);
  void advanced(Nanoseconds now, const std::vector<Event>& events);
  void closed(const std::vector<Event>& events);

  // Compares everything that can be asked of the core, which has just advanced to `now`.
  void compare(const Core& core, Nanoseconds now) const;

  [[nodiscard]] const IdBag& waiting() const { return waiting_; }
  [[nodiscard]] const IdBag& in_flight() const { return in_flight_; }

 private:
  struct Live {
    Item item;
    Nanoseconds drop = kNever;
    std::uint64_t order = 0;  // of admission
    std::uint64_t batch = 0;
  };
  struct Group {
    ItemId leader = 0;  // in flight and not read
    Nanoseconds release = kNever;
    std::uint32_t members = 0;
    bool read = false;
  };
  struct Batch {
    std::uint32_t backbone = 0;
    std::uint32_t longest = 0;
    std::uint32_t length = 0;  // bits of the seed's tokens
    std::size_t items = 0;
    std::size_t unfinished = 0;
  };
  struct Lane {
    std::uint64_t in_use = 0;
    std::uint64_t credits = 0;
    std::array<std::uint32_t, kTenants> ungrouped{};  // waiting, of each tenant
    std::array<std::array<Race, kTenants>, kTenants> races{};
  };
  struct Counts {
    std::uint64_t accepted = 0, dispatched = 0, finished = 0, failed = 0;
    std::uint64_t cancelled = 0, expired = 0, closed = 0, waiting = 0, in_flight = 0;
    std::array<std::uint64_t, kTenants> of_tenant{};  // waiting
  };

  [[nodiscard]] std::uint32_t lane_of(const Item& item) const {
    return plan_.queues[item.queue].backbone;
  }
  [[nodiscard]] Nanoseconds drop_of(const Item& item) const;
  // Whether another backbone of its device has dispatches in flight.
  [[nodiscard]] bool has_to_wait(std::uint32_t backbone) const;
  // Whether a device may be about to pass on from a backbone with dispatches in flight.
  [[nodiscard]] bool device_held() const;
  Group& group_of(const Item& item) { return groups_.at({lane_of(item), item.group}); }

  Counts& stop_waiting(ItemId id);
  void forget(ItemId id);
  void dispatched(const Event& event, Nanoseconds now);
  void join_batch(const Live& live);
  void lead_or_follow(const Live& live, ItemId id, Nanoseconds now);
  void served(const Item& item);
  void update_races(const Item& item);
  void compare_counts(const Core& core) const;

  Plan plan_;
  std::unordered_map<ItemId, Live> live_;
  IdBag waiting_;
  IdBag in_flight_;
  std::vector<Counts> counts_;
  std::vector<Lane> lanes_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, Group> groups_;
  std::unordered_map<std::uint64_t, Batch> batches_;
  std::uint64_t last_batch_ = 0;
  std::uint64_t admitted_ = 0;
  bool closed_ = false;
};

}  // namespace budgetmem::testing
