// Items by name on a Core, and what becomes of them in words.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "budgetmem/core.hpp"

namespace budgetmem::testing {

// A plan of one queue with room for much. No item is due before its deadline.
inline Plan one_queue(const Backbone& backbone = {}, std::uint32_t quantum = 10) {
  return {.backbones = {backbone},
          .queues = {{.backbone = 0, .capacity = 100'000, .tenant_capacity = 100'000}},
          .quantum = quantum,
          .age_cap = kNever};
}

// The names of items are single letters.
class Bench {
 public:
  explicit Bench(const Plan& plan) : core(plan) {}

  Admission offer(char name, const Item& item = {}, Nanoseconds now = 0) {
    ItemId id = 0;
    Admission answer = Admission::closed;
    core.submit({&item, 1}, now, {&id, 1}, {&answer, 1});
    if (id != 0) {
      ids_[name] = id;
      names_[id] = name;
    }
    return answer;
  }

  // Submits one item of these values for each of the names; all must be accepted.
  void submit(std::string_view names, const Item& item = {}, Nanoseconds now = 0) {
    for (const char name : names) {
      REQUIRE(offer(name, item, now) == Admission::accepted);
    }
  }

  // "ab c" are two dispatches; "-a" is an item that expired, "!a" one that was closed.
  std::string advance(Nanoseconds now = 0,
                      std::size_t limit = std::numeric_limits<std::size_t>::max()) {
    std::vector<Event> events;
    more = core.advance(now, events, limit);
    return tell(events);
  }
  std::string close() {
    std::vector<Event> events;
    core.close(events);
    return tell(events);
  }

  void first_token(char name) { core.first_token(ids_.at(name)); }
  bool cancel(char name) { return core.cancel(ids_.at(name)); }
  bool finish(char name, bool ok = true, Nanoseconds now = 0) {
    return core.finish(ids_.at(name), ok, now);
  }

  // Finishes these, and tells what that makes room for.
  std::string run(std::string_view names, Nanoseconds now = 0) {
    for (const char name : names) {
      REQUIRE(finish(name, true, now));
    }
    return advance(now);
  }

  // Every dispatch that there is, with each finished before the next.
  std::string drain(Nanoseconds now = 0) {
    std::string all;
    for (std::string step = advance(now); !step.empty(); step = run(step, now)) {
      all += all.empty() ? step : " " + step;
    }
    return all;
  }

  [[nodiscard]] ItemId id(char name) const { return ids_.at(name); }
  [[nodiscard]] QueueStats queue(std::size_t index = 0) const { return core.queue_stats()[index]; }
  [[nodiscard]] BackboneStats backbone(std::size_t index = 0) const {
    return core.backbone_stats()[index];
  }

  Core core;
  bool more = false;  // what the last advance answered

 private:
  std::string tell(const std::vector<Event>& events) const {
    std::string told;
    std::uint64_t batch = 0;
    for (const Event& event : events) {
      const bool joins = event.kind == EventKind::dispatched && event.batch == batch;
      told += told.empty() || joins ? "" : " ";
      told += event.kind == EventKind::expired ? "-" : event.kind == EventKind::closed ? "!" : "";
      told += names_.at(event.id);
      batch = event.batch;
    }
    return told;
  }

  std::map<char, ItemId> ids_;
  std::map<ItemId, char> names_;
};

}  // namespace budgetmem::testing
