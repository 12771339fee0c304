// The scheduler under many threads: nothing is lost, nothing comes twice, nobody waits for ever.
#include <doctest/doctest.h>

#include <atomic>
#include <random>
#include <thread>
#include <unordered_map>

#include "waiting.hpp"

namespace budgetmem {
namespace {

constexpr std::uint32_t kBackbones = 2;
constexpr std::uint32_t kSubmitters = 3;
constexpr int kSubmissions = 400;
constexpr std::size_t kAtOnce = 4;

Plan busy_plan() {
  Plan plan{.backbones = {{.credits = 3}, {.credits = 2, .batch_items = 4, .pads = true}},
            .queues = {},
            .quantum = 16,
            .age_cap = 1'000'000};
  for (std::uint32_t i = 0; i < kBackbones; ++i) {
    plan.queues.push_back({.backbone = i, .capacity = 300, .tenant_capacity = 200});
  }
  return plan;
}

struct Submitted {
  std::vector<ItemId> accepted;
  std::vector<ItemId> cancelled;
};

Item random_item(std::mt19937& random, std::uint32_t tenant, Nanoseconds now) {
  return {.group = random() % 4,
          .born = now,
          .deadline =
              random() % 3 == 0 ? now + 1 + static_cast<Nanoseconds>(random() % 500'000) : kNever,
          .queue = static_cast<std::uint32_t>(random() % kBackbones),
          .tenant = tenant,
          .tokens = static_cast<std::uint32_t>(1 + random() % 40)};
}

// Submits, and takes back some of what it has submitted.
void submit_all(Scheduler& scheduler, std::uint32_t tenant, Submitted& mine) {
  std::mt19937 random(tenant);
  std::vector<Item> items(kAtOnce);
  std::vector<ItemId> ids(kAtOnce);
  std::vector<Admission> answers(kAtOnce);
  for (int i = 0; i < kSubmissions; ++i) {
    for (Item& item : items) {
      item = random_item(random, tenant, scheduler.now());
    }
    scheduler.submit(items, ids, answers);
    for (const ItemId id : ids) {
      if (id != 0) {
        mine.accepted.push_back(id);
      }
    }
    if (const ItemId id = ids[random() % kAtOnce]; id != 0 && testing::cancel(scheduler, id) == 1) {
      mine.cancelled.push_back(id);
    }
  }
}

// Takes events until `done` and none are left; finishes what is dispatched, well or badly.
std::vector<Event> serve(Scheduler& scheduler, const std::atomic<bool>& done) {
  std::vector<Event> all;
  while (true) {
    const bool last = done;
    const std::vector<Event> events = scheduler.poll();
    if (events.empty() && last) {
      return all;
    }
    for (const Event& event : events) {
      if (event.kind == EventKind::dispatched) {
        scheduler.first_token({&event.id, 1});
        testing::finish(scheduler, event.id, event.id % 5 != 0);
      }
    }
    all.insert(all.end(), events.begin(), events.end());
    std::this_thread::yield();
  }
}

std::uint64_t waiting(const Scheduler& scheduler) {
  std::uint64_t count = 0;
  for (const QueueStats& stats : scheduler.queue_stats()) {
    count += stats.waiting + stats.in_flight;
  }
  return count;
}

TEST_CASE("every accepted item is cancelled or has one event, and every credit comes back") {
  Scheduler scheduler(busy_plan());
  std::vector<Submitted> submitted(kSubmitters);
  std::vector<std::thread> submitters;
  submitters.reserve(kSubmitters);
  for (std::uint32_t tenant = 0; tenant < kSubmitters; ++tenant) {
    submitters.emplace_back([&, tenant] { submit_all(scheduler, tenant, submitted[tenant]); });
  }
  std::atomic<bool> done = false;
  std::vector<Event> events;
  std::thread server([&] { events = serve(scheduler, done); });
  for (std::thread& thread : submitters) {
    thread.join();
  }
  while (waiting(scheduler) > 0) {
    std::this_thread::yield();
  }
  done = true;
  server.join();

  std::unordered_map<ItemId, int> ends;
  for (const Event& event : events) {
    ++ends[event.id];
  }
  std::size_t accepted = 0;
  for (const Submitted& mine : submitted) {
    accepted += mine.accepted.size();
    for (const ItemId id : mine.cancelled) {
      ++ends[id];
    }
    for (const ItemId id : mine.accepted) {
      REQUIRE(ends[id] == 1);
    }
  }
  CHECK(ends.size() == accepted);
  CHECK(accepted > 0);
  for (const BackboneStats& stats : scheduler.backbone_stats()) {
    CHECK(stats.credits_in_use == 0);
    CHECK(stats.batches > 0);
  }
}

TEST_CASE("closing from several threads while others submit loses nothing") {
  for (int round = 0; round < 50; ++round) {
    Scheduler scheduler({.backbones = {{}}, .queues = {{.capacity = 64, .tenant_capacity = 64}}});
    std::atomic<std::uint64_t> accepted = 0;
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        const Item item;
        ItemId id = 0;
        for (Admission answer{}; answer != Admission::closed;) {
          scheduler.submit({&item, 1}, {&id, 1}, {&answer, 1});
          accepted += answer == Admission::accepted ? 1 : 0;
        }
      });
    }
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] { scheduler.close(); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CHECK(scheduler.poll().size() == accepted);
  }
}

TEST_CASE("schedulers come and go on a manual clock that another thread advances") {
  constexpr Nanoseconds kFar = 1'000'000'000'000'000;  // out of the reach of the other thread
  const auto clock = std::make_shared<ManualClock>();
  std::atomic<bool> done = false;
  std::thread advancing([&] {
    while (!done) {
      clock->advance(1);
    }
  });
  for (int round = 0; round < 200; ++round) {
    Scheduler scheduler({.backbones = {{}}, .queues = {{.capacity = 2, .tenant_capacity = 2}}},
                        clock);
    testing::accepted(scheduler);
    CHECK(testing::next_event(scheduler).kind == EventKind::dispatched);
    testing::accepted(scheduler, {.deadline = clock->now() + kFar});
    if (round % 2 == 0) {
      clock->advance(2 * kFar);
      CHECK(testing::next_event(scheduler).kind == EventKind::expired);
    }
  }
  done = true;
  advancing.join();
}

}  // namespace
}  // namespace budgetmem
