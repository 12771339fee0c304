// What a Core is made of: the items, the lanes of the backbones, and the counts of the queues.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "budgetmem/core.hpp"
#include "deadlines.hpp"
#include "device.hpp"
#include "lane.hpp"
#include "record.hpp"
#include "slots.hpp"

namespace budgetmem {

struct Core::State {
  explicit State(Plan its_plan);

  Lane& lane_of(std::uint32_t queue) { return lanes[plan.queues[queue].backbone]; }
  Record* waiting(ItemId id);    // null if it does not wait
  Record* in_flight(ItemId id);  // null if it is not in flight

  Admission admit(const Item& item, Nanoseconds now, ItemId& id);
  void accept(const Item& item, Nanoseconds now, Nanoseconds drop, std::uint32_t line, ItemId& id);
  Record withdraw(ItemId id);  // takes out an item that waits, and returns what was known of it
  // Sends off what a lane has taken, as one dispatch.
  void launch(Nanoseconds now, std::vector<Event>& events);

  // These stop once there are `stop` events, and are true if there may be more to do.
  bool expire(Nanoseconds now, std::vector<Event>& events, std::size_t stop);
  bool dispatch(Nanoseconds now, std::vector<Event>& events, std::size_t stop);

  Plan plan;
  Records records;
  Deadlines deadlines{records};
  std::vector<Lane> lanes;
  std::vector<Device> devices;        // of the lanes, in order of each one's first
  std::vector<std::uint32_t> places;  // of the queues, each among those of its backbone
  std::vector<QueueStats> queues;
  Pool<std::size_t> unfinished;  // items of each dispatch in flight
  std::vector<ItemId> taken;
  std::uint64_t admitted = 0;
  std::uint64_t dispatched = 0;
  std::optional<Nanoseconds> interrupted;  // when advance() stopped at its limit
  bool closed = false;
};

}  // namespace budgetmem
