#include "lane.hpp"

#include <algorithm>
#include <limits>

namespace budgetmem {

Lane::Lane(const Backbone& plan, std::uint32_t quantum, Records& records)
    : plan_(plan),
      quantum_(quantum),
      records_(&records),
      groups_(plan.leader_timeout),
      credits_(plan.credits) {}

std::uint32_t Lane::line_of(std::uint32_t tenant) {
  const auto [found, is_new] = by_tenant_.try_emplace(tenant, kNone);
  if (is_new) {
    found->second = lines_.take();
    lines_[found->second].open(tenant, queues_, plan_.pads);
  }
  return found->second;
}

void Lane::admit(ItemId id, std::uint64_t group) {
  Record& record = (*records_)[id];
  record.group = groups_.join(group);
  lines_[record.line].count(record.place);
  enter(id, record);
}

void Lane::withdraw(const Record& record) {
  TenantLine& line = lines_[record.line];
  if (record.stage == Stage::held) {
    groups_.lose_held(record.group, *records_);
  } else {
    line.leave(record, *records_);
  }
  groups_.leave(record.group);
  line.let_go(record.place);
  forget_if_idle(record.line);
}

bool Lane::dispatch(Nanoseconds now, std::vector<ItemId>& taken) {
  taken.clear();
  const ItemId seed = find_seed();
  if (seed == 0) {
    return false;
  }
  take(seed, now);
  taken.push_back(seed);
  if (plan_.batch_items > 1) {
    fill(seed, now, taken);
  }
  ++in_use_;
  ++counts_.batches;
  return true;
}

void Lane::first_token(ItemId id) {
  const std::uint32_t group = (*records_)[id].group;
  if (groups_.led_by(group, id)) {
    groups_.read(group, freed_);
    free_held();
  }
}

void Lane::finish(ItemId id, bool ok) {
  const std::uint32_t group = (*records_)[id].group;
  if (ok) {
    first_token(id);
  } else if (groups_.led_by(group, id)) {
    groups_.abandon(group, freed_);
    counts_.promotions += groups_.has_others(group) ? 1 : 0;
    free_held();
  }
  groups_.leave(group);
}

void Lane::release_overdue(Nanoseconds now) {
  for (std::uint32_t group = groups_.overdue(now); group != kNone; group = groups_.overdue(now)) {
    groups_.read(group, freed_);
    ++counts_.timeouts;
    free_held();
  }
}

BackboneStats Lane::stats() const {
  BackboneStats stats = counts_;
  stats.credits = credits_;
  stats.credits_in_use = in_use_;
  return stats;
}

// Deficit round-robin: see "Tenants" in docs/scheduling.md.
ItemId Lane::find_seed() {
  std::size_t turns_ended = 0;  // since the ring last changed
  while (ring_.size() > 0) {
    const std::uint32_t front = ring_.front();
    const ItemId id = head(front);
    if (id == 0) {
      ring_.leave(lines_);
      forget_if_idle(front);
      turns_ended = 0;
      continue;
    }
    std::int64_t& deficit = lines_[front].deficit;
    const std::int64_t cost = (*records_)[id].tokens;
    if (ring_.size() == 1) {
      deficit = std::max(deficit, cost);
    } else if (ring_.grant()) {
      deficit += quantum_;
    }
    if (deficit >= cost) {
      deficit -= cost;
      ring_.seed(lines_);
      return id;
    }
    ring_.end_turn(lines_);
    if (++turns_ended == ring_.size()) {
      skip_rounds();
      turns_ended = 0;
    }
  }
  return 0;
}

// Every tenant has just ended a turn for want of deficit, and the rounds to come would add a
// quantum to each and nothing else, until one is covered. Does all but the last of them at once.
void Lane::skip_rounds() {
  std::int64_t rounds = std::numeric_limits<std::int64_t>::max();
  for (std::uint32_t line = ring_.front(); line != kNone; line = lines_[line].next) {
    const std::int64_t missing = (*records_)[head(line)].tokens - lines_[line].deficit;
    rounds = std::min(rounds, (missing + quantum_ - 1) / quantum_);
  }
  for (std::uint32_t line = ring_.front(); line != kNone; line = lines_[line].next) {
    lines_[line].deficit += (rounds - 1) * quantum_;
  }
}

// See "Batches" in docs/scheduling.md.
void Lane::fill(ItemId seed, Nanoseconds now, std::vector<ItemId>& taken) {
  std::uint32_t longest = (*records_)[seed].tokens;
  const std::uint32_t bucket = lines_[ring_.front()].bucket_of(longest);
  bool added = true;
  while (added) {
    added = false;
    for (std::uint32_t line = ring_.front(); line != kNone && taken.size() < plan_.batch_items;
         line = lines_[line].next) {
      const ItemId id = head(line, bucket);
      const std::uint32_t tokens = id == 0 ? 0 : (*records_)[id].tokens;
      if (id != 0 && has_tokens_for(taken.size() + 1, std::max(longest, tokens))) {
        lines_[line].deficit -= lines_[line].saving ? 0 : tokens;
        longest = std::max(longest, tokens);
        take(id, now);
        taken.push_back(id);
        added = true;
      }
    }
  }
}

bool Lane::has_tokens_for(std::size_t count, std::uint32_t longest) const noexcept {
  return plan_.batch_tokens == 0 || count * longest <= plan_.batch_tokens;
}

template <typename... Bucket>
ItemId Lane::head(std::uint32_t line, Bucket... bucket) {
  const Entry* first = lines_[line].most_urgent(bucket..., *records_);
  while (first != nullptr && set_aside(first->id)) {
    first = lines_[line].most_urgent(bucket..., *records_);
  }
  return first == nullptr ? 0 : first->id;
}

bool Lane::set_aside(ItemId id) {
  Record& record = (*records_)[id];
  if (!groups_.holds(record.group)) {
    return false;
  }
  record.stage = Stage::held;
  groups_.hold(record.group, id);
  lines_[record.line].leave(record, *records_);
  return true;
}

void Lane::enter(ItemId id, const Record& record) {
  TenantLine& line = lines_[record.line];
  line.enter(id, record);
  if (!line.in_ring) {
    if (ring_.overgrown()) {
      ring_.sweep(lines_, [this](std::uint32_t gone) { forget_if_idle(gone); });
    }
    ring_.join(record.line, lines_);
  }
}

void Lane::take(ItemId id, Nanoseconds now) {
  Record& record = (*records_)[id];
  record.stage = Stage::in_flight;
  lines_[record.line].leave(record, *records_);
  lines_[record.line].let_go(record.place);
  if (record.group != kNone) {
    ++(groups_.take(record.group, id, now) ? counts_.leaders : counts_.siblings);
  }
}

void Lane::free_held() {
  for (const ItemId id : freed_) {
    Record* const record = records_->find(id);
    if (record != nullptr) {
      record->stage = Stage::in_line;
      enter(id, *record);
    }
  }
}

// A tenant who stands in no ring and for whom nothing waits leaves nothing behind.
void Lane::forget_if_idle(std::uint32_t line) {
  if (!lines_[line].in_ring && lines_[line].waiting() == 0) {
    by_tenant_.erase(lines_[line].tenant());
    lines_.give_back(line);
  }
}

}  // namespace budgetmem
