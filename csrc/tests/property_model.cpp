#include "property_model.hpp"

namespace budgetmem::testing {

Model::Model(const Plan& plan)
    : plan_(plan), counts_(plan.queues.size()), lanes_(plan.backbones.size()) {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].credits = plan.backbones[i].credits;
  }
}

Nanoseconds Model::drop_of(const Item& item) const {
  const Backbone& backbone = plan_.backbones[lane_of(item)];
  return item.deadline == kNever
             ? kNever
             : item.deadline - backbone.fixed - backbone.per_token * item.tokens;
}

bool Model::device_held() const {
  for (std::uint32_t lane = 0; lane < lanes_.size(); ++lane) {
    if (plan_.backbones[lane].device != kNoDevice && lanes_[lane].in_use > 0) {
      return true;
    }
  }
  return false;
}

bool Model::has_to_wait(std::uint32_t backbone) const {
  const std::uint32_t device = plan_.backbones[backbone].device;
  for (std::uint32_t other = 0; other < lanes_.size(); ++other) {
    if (device != kNoDevice && other != backbone && plan_.backbones[other].device == device &&
        lanes_[other].in_use > 0) {
      return true;
    }
  }
  return false;
}

void Model::submitted(const Item& item, Nanoseconds now, ItemId id, Admission answer) {
  Counts& counts = counts_[item.queue];
  const Queue& queue = plan_.queues[item.queue];
  const bool full =
      counts.waiting == queue.capacity || counts.of_tenant.at(item.tenant) == queue.tenant_capacity;
  const Admission right = closed_               ? Admission::closed
                          : now > drop_of(item) ? Admission::infeasible
                          : full                ? Admission::full
                                                : Admission::accepted;
  expect(answer == right, "admission is closed, infeasible, full or accepted, in this order");
  expect((id != 0) == (answer == Admission::accepted), "an id is given to what is accepted");
  if (id == 0) {
    return;
  }
  const bool is_new = live_.emplace(id, Live{item, drop_of(item), ++admitted_, 0}).second;
  expect(is_new, "an id is not given twice");
  waiting_.add(id);
  ++counts.accepted;
  ++counts.waiting;
  ++counts.of_tenant.at(item.tenant);
  if (item.group == kNoGroup) {
    ++lanes_[lane_of(item)].ungrouped.at(item.tenant);
    update_races(item);
  } else {
    ++groups_[{lane_of(item), item.group}].members;
  }
}

void Model::cancelled(ItemId id, bool done) {
  expect(done == waiting_.has(id), "what waits can be cancelled, and nothing else");
  if (done) {
    ++stop_waiting(id).cancelled;
    forget(id);
  }
}

void Model::finished(ItemId id, bool ok, bool done) {
  expect(done == in_flight_.has(id), "what is in flight can be finished, once");
  if (!done) {
    return;
  }
  const Live& live = live_.at(id);
  Counts& counts = counts_[live.item.queue];
  ++(ok ? counts.finished : counts.failed);
  --counts.in_flight;
  if (live.item.group != kNoGroup && group_of(live.item).leader == id) {
    group_of(live.item).leader = 0;
    group_of(live.item).read = ok;
  }
  Batch& batch = batches_.at(live.batch);
  if (--batch.unfinished == 0) {
    --lanes_[batch.backbone].in_use;
    batches_.erase(live.batch);
  }
  in_flight_.remove(id);
  forget(id);
}

void Model::read(ItemId id) {
  const Item& item = live_.at(id).item;
  if (item.group != kNoGroup && group_of(item).leader == id) {
    group_of(item).leader = 0;
    group_of(item).read = true;
  }
}

void Model::set_credits(std::uint32_t backbone, std::uint32_t credits) {
  lanes_[backbone].credits = credits;
}

void Model::advanced(Nanoseconds now, const std::vector<Event>& events) {
  for (auto& [name, group] : groups_) {
    if (group.leader != 0 && group.release <= now) {
      group.leader = 0;
      group.read = true;
    }
  }
  std::pair<Nanoseconds, std::uint64_t> last_expired{-kNever, 0};
  bool dispatching = false;
  for (const Event& event : events) {
    expect(waiting_.has(event.id), "events are of items that wait");
    if (event.kind == EventKind::dispatched) {
      dispatching = true;
      dispatched(event, now);
      continue;
    }
    const Live& live = live_.at(event.id);
    expect(event.kind == EventKind::expired && event.batch == 0, "advance closes nothing");
    expect(now > live.drop, "only what is too late expires");
    expect(!dispatching, "items expire before anything is dispatched");
    expect(last_expired < std::pair(live.drop, live.order), "items expire in order of drop time");
    last_expired = {live.drop, live.order};
    ++stop_waiting(event.id).expired;
    forget(event.id);
  }
}

void Model::closed(const std::vector<Event>& events) {
  closed_ = true;
  std::uint64_t last = 0;
  for (const Event& event : events) {
    expect(event.kind == EventKind::closed && waiting_.has(event.id), "what waits is closed");
    expect(last < live_.at(event.id).order, "items are closed in order of admission");
    last = live_.at(event.id).order;
    ++stop_waiting(event.id).closed;
    forget(event.id);
  }
  expect(waiting_.ids().empty(), "everything that waits is closed");
}

Model::Counts& Model::stop_waiting(ItemId id) {
  const Item& item = live_.at(id).item;
  waiting_.remove(id);
  Counts& counts = counts_[item.queue];
  --counts.waiting;
  --counts.of_tenant.at(item.tenant);
  if (item.group == kNoGroup) {
    --lanes_[lane_of(item)].ungrouped.at(item.tenant);
    update_races(item);
  }
  return counts;
}

void Model::forget(ItemId id) {
  const Item item = live_.at(id).item;
  live_.erase(id);
  if (item.group != kNoGroup && --group_of(item).members == 0) {
    groups_.erase({lane_of(item), item.group});
  }
}

void Model::dispatched(const Event& event, Nanoseconds now) {
  Live& live = live_.at(event.id);
  expect(now <= live.drop, "what is too late is not dispatched");
  if (event.batch != last_batch_) {
    expect(event.batch == ++last_batch_, "dispatches are numbered in order");
    Lane& lane = lanes_[lane_of(live.item)];
    expect(++lane.in_use <= lane.credits, "a dispatch needs a free credit");
    batches_[event.batch] = {lane_of(live.item), 0, 0, 0, 0};
  }
  live.batch = event.batch;
  join_batch(live);
  if (live.item.group != kNoGroup) {
    lead_or_follow(live, event.id, now);
  }
  served(live.item);
  Counts& counts = stop_waiting(event.id);
  ++counts.dispatched;
  ++counts.in_flight;
  in_flight_.add(event.id);
}

void Model::join_batch(const Live& live) {
  Batch& batch = batches_.at(live.batch);
  const Backbone& backbone = plan_.backbones[batch.backbone];
  const auto length = static_cast<std::uint32_t>(std::bit_width(live.item.tokens));
  expect(lane_of(live.item) == batch.backbone, "a dispatch is of one backbone");
  expect(batch.items == 0 || !backbone.pads || length == batch.length, "a batch is of one bucket");
  batch.length = length;
  batch.longest = std::max(batch.longest, live.item.tokens);
  ++batch.items;
  ++batch.unfinished;
  expect(batch.items <= backbone.batch_items, "a batch has batch_items at most");
  expect(batch.items == 1 || backbone.batch_tokens == 0 ||
             batch.items * batch.longest <= backbone.batch_tokens,
         "a batch has batch_tokens at most");
}

void Model::lead_or_follow(const Live& live, ItemId id, Nanoseconds now) {
  Group& group = group_of(live.item);
  expect(group.leader == 0, "a member is held while its leader reads");
  if (!group.read) {
    const Nanoseconds timeout = plan_.backbones[lane_of(live.item)].leader_timeout;
    group.leader = id;
    group.release = timeout == kNever ? kNever : now + timeout;
  }
}

void Model::served(const Item& item) {
  Lane& lane = lanes_[lane_of(item)];
  const std::int64_t bound = 2 * (std::int64_t{plan_.quantum} + kLongest);
  for (std::uint32_t other = 0; other < kTenants; ++other) {
    Race& race = lane.races.at(std::min(item.tenant, other)).at(std::max(item.tenant, other));
    if (!race.running) {
      continue;
    }
    race.lead += item.tenant < other ? std::int64_t{item.tokens} : -std::int64_t{item.tokens};
    race.least = std::min(race.least, race.lead);
    race.most = std::max(race.most, race.lead);
    expect(race.most - race.least <= bound, "tenants with a backlog are served alike");
  }
}

// Starts or stops the tenant's races, after a change of what waits for it. Joining somebody
// else's batch is paid back later, so there are races only where there are no batches.
void Model::update_races(const Item& item) {
  Lane& lane = lanes_[lane_of(item)];
  const bool batches = plan_.backbones[lane_of(item)].batch_items > 1;
  for (std::uint32_t other = 0; other < kTenants; ++other) {
    Race& race = lane.races.at(std::min(item.tenant, other)).at(std::max(item.tenant, other));
    const bool backlog = lane.ungrouped.at(item.tenant) > 0 && lane.ungrouped.at(other) > 0;
    const bool running = backlog && !batches && other != item.tenant;
    if (running != race.running) {
      race = {.running = running};
    }
  }
}

void Model::compare(const Core& core, Nanoseconds now) const {
  compare_counts(core);
  Nanoseconds timer = kNever;
  for (const auto& [name, group] : groups_) {
    timer = group.leader != 0 ? std::min(timer, group.release) : timer;
  }
  for (const ItemId id : waiting_.ids()) {
    const auto& [item, drop, order, batch] = live_.at(id);
    timer = drop == kNever ? timer : std::min(timer, drop + 1);
    expect(now <= drop, "nothing that is too late waits");
    const Lane& lane = lanes_[lane_of(item)];
    const bool held = item.group != kNoGroup && groups_.at({lane_of(item), item.group}).leader != 0;
    const bool shares = plan_.backbones[lane_of(item)].device != kNoDevice;
    const bool turns = shares && (lane.in_use > 0 || has_to_wait(lane_of(item)));
    expect(held || turns || lane.in_use >= lane.credits,
           "no credit and no device is idle while something may go");
  }
  const Nanoseconds next = core.next_timer();
  const bool turn = device_held() && next > now && next <= now + 2 * plan_.device_turn;
  expect(next == timer || (next < timer && turn),
         "next_timer() is the first expiry, release or end of a turn");
}

void Model::compare_counts(const Core& core) const {
  const std::vector<QueueStats> queues = core.queue_stats();
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const Counts& ours = counts_[i];
    const QueueStats& its = queues[i];
    expect(its.accepted == ours.accepted && its.dispatched == ours.dispatched &&
               its.finished == ours.finished && its.failed == ours.failed &&
               its.cancelled == ours.cancelled && its.expired == ours.expired &&
               its.closed == ours.closed && its.waiting == ours.waiting &&
               its.in_flight == ours.in_flight,
           "the counts of the queues are right");
    expect(its.accepted == its.finished + its.failed + its.cancelled + its.expired + its.closed +
                               its.waiting + its.in_flight,
           "every accepted item waits, is in flight, or has ended once");
  }
  const std::vector<BackboneStats> backbones = core.backbone_stats();
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    expect(backbones[i].credits_in_use == lanes_[i].in_use, "credits in use are right");
    expect(backbones[i].credits == lanes_[i].credits, "credits are right");
  }
}

}  // namespace budgetmem::testing
