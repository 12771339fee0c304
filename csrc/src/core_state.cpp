#include "core_state.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "arithmetic.hpp"

namespace budgetmem {

Core::State::State(Plan its_plan) : plan(std::move(its_plan)), queues(plan.queues.size()) {
  lanes.reserve(plan.backbones.size());
  for (const Backbone& backbone : plan.backbones) {
    lanes.emplace_back(backbone, plan.quantum, records);
  }
  std::unordered_map<std::uint32_t, std::size_t> by_name;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const std::uint32_t name = plan.backbones[i].device;
    std::size_t place = devices.size();
    if (name != kNoDevice) {
      place = by_name.try_emplace(name, place).first->second;
    }
    if (place == devices.size()) {
      devices.emplace_back(plan.device_turn);
    }
    devices[place].add(lanes[i]);
  }
  for (const Queue& queue : plan.queues) {
    places.push_back(lanes[queue.backbone].add_queue());
  }
}

Record* Core::State::waiting(ItemId id) {
  Record* const record = records.find(id);
  return record != nullptr && record->stage != Stage::in_flight ? record : nullptr;
}

Record* Core::State::in_flight(ItemId id) {
  Record* const record = records.find(id);
  return record != nullptr && record->stage == Stage::in_flight ? record : nullptr;
}

Admission Core::State::admit(const Item& item, Nanoseconds now, ItemId& id) {
  const Queue& queue = plan.queues[item.queue];
  QueueStats& stats = queues[item.queue];
  id = 0;
  if (closed) {
    ++stats.refused_closed;
    return Admission::closed;
  }
  const Nanoseconds drop = drop_time(plan.backbones[queue.backbone], item);
  if (now > drop) {
    ++stats.infeasible;
    return Admission::infeasible;
  }
  if (stats.waiting >= queue.capacity) {
    ++stats.full;
    return Admission::full;
  }
  // A line that is new has room: every tenant may have an item waiting.
  const std::uint32_t line = lanes[queue.backbone].line_of(item.tenant);
  if (lanes[queue.backbone].waiting(line, places[item.queue]) >= queue.tenant_capacity) {
    ++stats.full;
    return Admission::full;
  }
  accept(item, now, drop, line, id);
  return Admission::accepted;
}

void Core::State::accept(const Item& item, Nanoseconds now, Nanoseconds drop, std::uint32_t line,
                         ItemId& id) {
  Record record;
  record.sequence = ++admitted;
  record.urgency = std::min(item.deadline, saturating_add(item.born, plan.age_cap));
  record.drop_time = drop;
  record.since = now;
  record.queue = item.queue;
  record.place = places[item.queue];
  record.tokens = item.tokens;
  record.line = line;
  id = records.insert(record);
  deadlines.add(id, record);
  lane_of(item.queue).admit(id, item.group);
  ++queues[item.queue].accepted;
  ++queues[item.queue].waiting;
}

Record Core::State::withdraw(ItemId id) {
  const Record record = records[id];
  records.erase(id);
  lane_of(record.queue).withdraw(record);
  deadlines.remove(record);
  --queues[record.queue].waiting;
  return record;
}

void Core::State::launch(Nanoseconds now, std::vector<Event>& events) {
  ++dispatched;
  const std::uint32_t dispatch = unfinished.take();
  unfinished[dispatch] = taken.size();
  for (const ItemId id : taken) {
    Record& record = records[id];
    deadlines.remove(record);
    QueueStats& stats = queues[record.queue];
    --stats.waiting;
    ++stats.in_flight;
    ++stats.dispatched;
    stats.queued.record(elapsed(record.since, now));
    record.since = now;
    record.dispatch = dispatch;
    events.push_back({id, dispatched, EventKind::dispatched});
  }
}

bool Core::State::expire(Nanoseconds now, std::vector<Event>& events, std::size_t stop) {
  for (ItemId id = deadlines.overdue(now); id != 0; id = deadlines.overdue(now)) {
    ++queues[withdraw(id).queue].expired;
    events.push_back({id, 0, EventKind::expired});
    if (events.size() >= stop) {
      return true;
    }
  }
  return false;
}

bool Core::State::dispatch(Nanoseconds now, std::vector<Event>& events, std::size_t stop) {
  for (Device& device : devices) {
    while (Lane* const lane = device.next(now)) {
      if (lane->dispatch(now, taken)) {
        launch(now, events);
      }
      if (events.size() >= stop) {
        return std::ranges::any_of(lanes, &Lane::can_dispatch);
      }
    }
  }
  return false;
}

}  // namespace budgetmem
