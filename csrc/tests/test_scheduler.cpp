#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <numeric>
#include <string>

#include "waiting.hpp"

namespace budgetmem {
namespace {

using testing::accepted;
using testing::cancel;
using testing::finish;
using testing::next_event;
using testing::next_events;
using testing::readable;

// One queue for each backbone, of the same index.
Plan plan_of(std::vector<Backbone> backbones) {
  Plan plan{.backbones = std::move(backbones), .queues = {}, .age_cap = kNever};
  for (std::uint32_t i = 0; i < plan.backbones.size(); ++i) {
    plan.queues.push_back({.backbone = i, .capacity = 1U << 20U, .tenant_capacity = 1U << 20U});
  }
  return plan;
}

TEST_CASE("an item is dispatched, and its credit goes to the next one") {
  Scheduler scheduler(plan_of({{}, {}}));
  const ItemId first = accepted(scheduler);
  CHECK(next_event(scheduler).id == first);
  const ItemId second = accepted(scheduler);
  const ItemId other = accepted(scheduler, {.queue = 1});
  CHECK(next_event(scheduler).id == other);  // so the thread has passed over `second`, and sleeps
  CHECK(finish(scheduler, first) == 1);
  const Event event = next_event(scheduler);
  CHECK(event.id == second);
  CHECK(event.batch == 3);
  CHECK(event.kind == EventKind::dispatched);
  CHECK(finish(scheduler, first) == 0);
  CHECK(scheduler.backbone_stats()[0].credits_in_use == 1);
}

TEST_CASE("what is accepted goes, though others of its submission are refused") {
  const auto clock = std::make_shared<ManualClock>(1000);
  Scheduler scheduler(plan_of({{}, {}}), clock);
  accepted(scheduler);
  next_event(scheduler);
  accepted(scheduler, {.deadline = 1500});
  clock->advance(501);
  CHECK(next_event(scheduler).kind == EventKind::expired);  // by the thread, which sleeps now
  const std::vector<Item> items = {{.deadline = 999, .queue = 1}, {.queue = 1}};
  std::vector<ItemId> ids(2);
  std::vector<Admission> answers(2);
  scheduler.submit(items, ids, answers);
  CHECK(answers == std::vector{Admission::infeasible, Admission::accepted});
  CHECK(next_event(scheduler).id == ids[1]);
}

TEST_CASE("the descriptor is signalled once for all events that come before a poll") {
  constexpr std::uint32_t kItems = 1000;  // more than the thread handles in one hold of the mutex
  Scheduler scheduler(plan_of({{.credits = kItems}}));
  for (int round = 0; round < 3; ++round) {
    std::vector<ItemId> ids(kItems);
    std::vector<Admission> answers(kItems);
    CHECK_FALSE(readable(scheduler));
    scheduler.submit(std::vector<Item>(kItems), ids, answers);
    while (scheduler.backbone_stats()[0].credits_in_use < kItems) {
      std::this_thread::yield();
    }
    std::uint64_t signals = 0;
    REQUIRE(::read(scheduler.fileno(), &signals, sizeof signals) == sizeof signals);
    CHECK(signals == 1);
    CHECK(scheduler.poll().size() == kItems);
    CHECK(scheduler.finish(ids, true) == kItems);
  }
}

TEST_CASE("programs that are started do not inherit the descriptor") {
  const Scheduler scheduler(plan_of({{}}));
  CHECK((::fcntl(scheduler.fileno(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a poll takes all events and leaves the descriptor unreadable") {
  Scheduler scheduler(plan_of({{}}));
  CHECK(scheduler.poll().empty());
  accepted(scheduler);
  REQUIRE(readable(scheduler, testing::kPatience));
  CHECK(scheduler.poll().size() == 1);
  CHECK_FALSE(readable(scheduler));
  CHECK(scheduler.poll().empty());
}

TEST_CASE("what waits can be taken back; what is in flight cannot") {
  Scheduler scheduler(plan_of({{}}));
  const ItemId flying = accepted(scheduler);
  next_event(scheduler);
  const ItemId waiting = accepted(scheduler);
  const ItemId last = accepted(scheduler);
  CHECK(cancel(scheduler, flying) == 0);
  CHECK(cancel(scheduler, waiting) == 1);
  CHECK(cancel(scheduler, waiting) == 0);
  finish(scheduler, flying);
  CHECK(next_event(scheduler).id == last);
}

TEST_CASE("more credits let more go") {
  Scheduler scheduler(plan_of({{}}));
  const std::vector<ItemId> ids = {accepted(scheduler), accepted(scheduler)};
  CHECK(next_event(scheduler).id == ids[0]);
  scheduler.set_credits(0, 2);
  CHECK(next_event(scheduler).id == ids[1]);
  CHECK_THROWS_AS(scheduler.set_credits(1, 2), InvalidArgument);
}

TEST_CASE("siblings follow the first token of their leader") {
  Scheduler scheduler(plan_of({{.credits = 3}}));
  const ItemId leader = accepted(scheduler, {.group = 7});
  CHECK(next_event(scheduler).id == leader);
  const ItemId sibling = accepted(scheduler, {.group = 7});
  const ItemId other = accepted(scheduler);
  CHECK(next_event(scheduler).id == other);  // so the sibling has been held
  scheduler.first_token({&leader, 1});
  CHECK(next_event(scheduler).id == sibling);
}

TEST_CASE("the thread waits on its clock for deadlines") {
  const auto clock = std::make_shared<ManualClock>(1000);
  Scheduler scheduler(plan_of({{}, {}}), clock);
  CHECK(scheduler.now() == 1000);
  accepted(scheduler);
  next_event(scheduler);
  const ItemId late = accepted(scheduler, {.deadline = 1500});
  clock->advance(500);
  const ItemId other = accepted(scheduler, {.queue = 1});
  CHECK(next_event(scheduler).id == other);  // the thread has run at 1500, and `late` may still go
  clock->advance(1);
  const Event event = next_event(scheduler);
  CHECK(event.id == late);
  CHECK(event.kind == EventKind::expired);
  CHECK(event.batch == 0);
}

TEST_CASE("the thread waits on its clock for slow leaders") {
  const auto clock = std::make_shared<ManualClock>();
  Scheduler scheduler(plan_of({{.credits = 3, .leader_timeout = 50}}), clock);
  accepted(scheduler, {.group = 7});
  next_event(scheduler);
  const ItemId sibling = accepted(scheduler, {.group = 7});
  const ItemId other = accepted(scheduler);
  CHECK(next_event(scheduler).id == other);
  clock->advance(1000);
  CHECK(next_event(scheduler).id == sibling);
  CHECK(scheduler.backbone_stats()[0].timeouts == 1);
}

TEST_CASE("a new earlier timer replaces the one that is waited for") {
  const auto clock = std::make_shared<ManualClock>();
  Scheduler scheduler(plan_of({{}}), clock);
  accepted(scheduler);
  next_event(scheduler);
  for (const Nanoseconds deadline : {500, 400, 300}) {
    accepted(scheduler, {.deadline = deadline});
  }
  clock->advance(301);
  CHECK(next_event(scheduler).kind == EventKind::expired);
  CHECK(scheduler.queue_stats()[0].waiting == 2);
}

TEST_CASE("real time expires items") {
  Scheduler scheduler(plan_of({{}}));
  accepted(scheduler);
  next_event(scheduler);
  const Nanoseconds deadline = scheduler.now() + 20'000'000;
  accepted(scheduler, {.deadline = deadline});
  CHECK(next_event(scheduler).kind == EventKind::expired);
  CHECK(scheduler.now() > deadline);
}

TEST_CASE("bad input is named, and nothing is admitted") {
  Scheduler scheduler(plan_of({{}}));
  std::vector<ItemId> ids(2);
  std::vector<Admission> answers(2);
  const std::vector<Item> items = {{}, {.queue = 1}};
  std::string field;
  try {
    scheduler.submit(items, ids, answers);
  } catch (const InvalidArgument& error) {
    field = error.field();
  }
  CHECK(field == "items[1].queue");
  CHECK(scheduler.queue_stats()[0].accepted == 0);
  CHECK_THROWS_AS(Scheduler(plan_of({}), std::make_shared<ManualClock>()), InvalidArgument);
  CHECK_THROWS_AS(Scheduler(plan_of({{}}), nullptr), InvalidArgument);
}

TEST_CASE("closing tells what waits; the rest may finish") {
  Scheduler scheduler(plan_of({{}}));
  const ItemId flying = accepted(scheduler);
  next_event(scheduler);
  const std::vector<ItemId> waiting = {accepted(scheduler), accepted(scheduler)};
  scheduler.close();
  scheduler.close();
  CHECK(readable(scheduler));
  const std::vector<Event> events = scheduler.poll();
  REQUIRE(events.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(events[i].id == waiting[i]);
    CHECK(events[i].kind == EventKind::closed);
  }
  CHECK_FALSE(readable(scheduler));
  const Item item;
  ItemId id = 1;
  Admission answer = Admission::accepted;
  scheduler.submit({&item, 1}, {&id, 1}, {&answer, 1});
  CHECK(id == 0);
  CHECK(answer == Admission::closed);
  CHECK(finish(scheduler, flying) == 1);
  CHECK(scheduler.backbone_stats()[0].credits_in_use == 0);
}

}  // namespace
}  // namespace budgetmem
