#include "prefix_groups.hpp"

#include "arithmetic.hpp"

namespace budgetmem {

std::uint32_t PrefixGroups::join(std::uint64_t name) {
  if (name == kNoGroup) {
    return kNone;
  }
  const auto [found, is_new] = by_name_.try_emplace(name, kNone);
  if (is_new) {
    found->second = groups_.take();
    Group& group = groups_[found->second];
    group.name = name;
    group.phase = Phase::open;
    group.held.clear();
    group.held_alive = 0;
  }
  ++groups_[found->second].members;
  return found->second;
}

void PrefixGroups::leave(std::uint32_t group) {
  if (group == kNone || --groups_[group].members > 0) {
    return;
  }
  by_name_.erase(groups_[group].name);
  groups_.give_back(group);
}

void PrefixGroups::hold(std::uint32_t group, ItemId id) {
  groups_[group].held.push_back(id);
  ++groups_[group].held_alive;
}

void PrefixGroups::lose_held(std::uint32_t group, Records& records) {
  constexpr std::size_t kSlack = 32;  // a short list is not worth sweeping
  Group& its = groups_[group];
  --its.held_alive;
  if (its.held.size() > 2 * std::size_t{its.held_alive} + kSlack) {
    std::erase_if(its.held, [&](ItemId id) { return records.find(id) == nullptr; });
  }
}

bool PrefixGroups::take(std::uint32_t group, ItemId id, Nanoseconds now) {
  Group& its = groups_[group];
  if (its.phase == Phase::read) {
    return false;
  }
  its.phase = Phase::led;
  its.leader = id;
  its.lead = ++leads_;
  ++led_;
  const Nanoseconds release = saturating_add(now, leader_timeout_);
  if (release != kNever) {
    timers_.push({release, its.lead, group});
  }
  return true;
}

void PrefixGroups::read(std::uint32_t group, std::vector<ItemId>& freed) {
  end_wait(groups_[group], Phase::read, freed);
}

void PrefixGroups::abandon(std::uint32_t group, std::vector<ItemId>& freed) {
  end_wait(groups_[group], Phase::open, freed);
}

void PrefixGroups::end_wait(Group& group, Phase phase, std::vector<ItemId>& freed) {
  freed.clear();
  freed.swap(group.held);
  group.held_alive = 0;
  group.phase = phase;
  --led_;
  timers_.sweep(led_, awaited());
}

std::uint32_t PrefixGroups::overdue(Nanoseconds now) {
  const Entry* const timer = first_timer();
  const bool due = timer != nullptr && timer->key <= now && timer->sequence <= leads_before_pass_;
  return due ? static_cast<std::uint32_t>(timer->id) : kNone;
}

Nanoseconds PrefixGroups::next_release() {
  const Entry* const timer = first_timer();
  return timer == nullptr ? kNever : timer->key;
}

const Entry* PrefixGroups::first_timer() { return timers_.top(awaited()); }

}  // namespace budgetmem
