// The prefix groups of one backbone: who leads, who is held, when the wait for a leader ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "lazy_heap.hpp"
#include "record.hpp"
#include "slots.hpp"

namespace budgetmem {

class PrefixGroups {
 public:
  explicit PrefixGroups(Nanoseconds leader_timeout) : leader_timeout_(leader_timeout) {}

  // Counts a live member more. Returns the index of the group, kNone for kNoGroup.
  std::uint32_t join(std::uint64_t name);
  // Counts one less; the group is forgotten with its last.
  void leave(std::uint32_t group);

  // Whether a member that comes to be taken now is to be set aside.
  [[nodiscard]] bool holds(std::uint32_t group) const noexcept {
    return group != kNone && groups_[group].phase == Phase::led;
  }
  void hold(std::uint32_t group, ItemId id);
  // A member that was held is not alive any more.
  void lose_held(std::uint32_t group, Records& records);

  // A member that is not to be set aside is taken. True if it leads.
  bool take(std::uint32_t group, ItemId id, Nanoseconds now);

  // Whether this item leads its group and has not read its prompt.
  [[nodiscard]] bool led_by(std::uint32_t group, ItemId id) const noexcept {
    return holds(group) && groups_[group].leader == id;
  }
  [[nodiscard]] bool has_others(std::uint32_t group) const noexcept {
    return groups_[group].members > 1;
  }

  // Ends the wait for a leader: the group is read, or waits for somebody else to lead. `freed`
  // becomes the members that were held, in order; some may not be alive any more.
  void read(std::uint32_t group, std::vector<ItemId>& freed);
  void abandon(std::uint32_t group, std::vector<ItemId>& freed);

  // Leaders that are dispatched from now on do not time out before the next call: what one pass
  // dispatches does not change what has come due in it.
  void begin_pass() noexcept { leads_before_pass_ = leads_; }
  // A group whose release time has come, the first of them, or kNone.
  [[nodiscard]] std::uint32_t overdue(Nanoseconds now);
  [[nodiscard]] Nanoseconds next_release();  // kNever if none is to come

 private:
  enum class Phase : std::uint8_t { open, led, read };  // open: nobody leads

  struct Group {
    std::uint64_t name = kNoGroup;
    std::uint64_t lead = 0;  // the number of the leader
    ItemId leader = 0;
    std::vector<ItemId> held;  // tombstones among them
    std::uint32_t held_alive = 0;
    std::uint32_t members = 0;
    Phase phase = Phase::open;
  };

  void end_wait(Group& group, Phase phase, std::vector<ItemId>& freed);
  const Entry* first_timer();
  // The id of a timer's entry is the index of its group, its sequence the number of the leader.
  [[nodiscard]] auto awaited() const {
    return [this](const Entry& timer) {
      const Group& group = groups_[static_cast<std::uint32_t>(timer.id)];
      return group.phase == Phase::led && group.lead == timer.sequence;
    };
  }

  Nanoseconds leader_timeout_;
  Pool<Group> groups_;
  std::unordered_map<std::uint64_t, std::uint32_t> by_name_;
  LazyHeap<Entry> timers_;
  std::size_t led_ = 0;  // groups
  std::uint64_t leads_ = 0;
  std::uint64_t leads_before_pass_ = 0;
};

}  // namespace budgetmem
