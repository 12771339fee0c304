// What tests of the threaded scheduler wait with: conditions, never times.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>

#include <thread>
#include <vector>

#include "budgetmem/scheduler.hpp"

namespace budgetmem::testing {

inline constexpr int kPatience = 60'000;  // milliseconds, after which a test has failed

inline bool readable(const Scheduler& scheduler, int milliseconds = 0) {
  pollfd descriptor{.fd = scheduler.fileno(), .events = POLLIN, .revents = 0};
  return ::poll(&descriptor, 1, milliseconds) == 1;
}

// Polls until `count` events have come.
inline std::vector<Event> next_events(Scheduler& scheduler, std::size_t count) {
  std::vector<Event> events;
  while (events.size() < count) {
    REQUIRE(readable(scheduler, kPatience));
    const std::vector<Event> more = scheduler.poll();
    REQUIRE(!more.empty());
    events.insert(events.end(), more.begin(), more.end());
  }
  return events;
}

inline Event next_event(Scheduler& scheduler) {
  const std::vector<Event> events = next_events(scheduler, 1);
  REQUIRE(events.size() == 1);
  return events.front();
}

// Submits one item and returns its id; it must be accepted.
inline ItemId accepted(Scheduler& scheduler, const Item& item = {}) {
  ItemId id = 0;
  Admission answer = Admission::closed;
  scheduler.submit({&item, 1}, {&id, 1}, {&answer, 1});
  REQUIRE(answer == Admission::accepted);
  return id;
}

inline std::size_t finish(Scheduler& scheduler, ItemId id, bool ok = true) {
  return scheduler.finish({&id, 1}, ok);
}

inline std::size_t cancel(Scheduler& scheduler, ItemId id) { return scheduler.cancel({&id, 1}); }

}  // namespace budgetmem::testing
