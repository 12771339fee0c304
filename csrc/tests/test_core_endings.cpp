#include <doctest/doctest.h>

#include "fixtures.hpp"

namespace budgetmem {
namespace {

using testing::Bench;
using testing::one_queue;

TEST_CASE("an item is finished once, and gives its credit back once") {
  Bench bench(one_queue({.credits = 2}));
  bench.submit("abcd");
  CHECK(bench.advance() == "a b");
  CHECK(bench.finish('a'));
  CHECK_FALSE(bench.finish('a'));
  CHECK(bench.advance() == "c");
  CHECK(bench.backbone().credits_in_use == 2);
}

TEST_CASE("only what is in flight can be finished, and only what waits cancelled") {
  Bench bench(one_queue());
  bench.submit("ab");
  CHECK(bench.advance() == "a");
  CHECK_FALSE(bench.finish('b'));
  CHECK_FALSE(bench.cancel('a'));
  CHECK(bench.cancel('b'));
  CHECK_FALSE(bench.cancel('b'));
  CHECK_FALSE(bench.core.cancel(0));
  CHECK_FALSE(bench.core.finish(bench.id('b') + (std::uint64_t{1} << 32U), true, 0));
  CHECK_FALSE(bench.core.finish(~std::uint64_t{0}, true, 0));
  CHECK(bench.queue().cancelled == 1);
}

TEST_CASE("a cancelled item is passed over") {
  Bench bench(one_queue());
  bench.submit("abcd");
  CHECK(bench.cancel('a'));
  CHECK(bench.cancel('c'));
  CHECK(bench.drain() == "b d");
}

TEST_CASE("items that end well and not are counted apart, with the times they took") {
  Bench bench(one_queue({.credits = 2}));
  bench.submit("ab", {}, 10);
  CHECK(bench.advance(14) == "a b");
  CHECK(bench.queue().in_flight == 2);
  CHECK(bench.finish('a', true, 20));
  CHECK(bench.finish('b', false, 21));
  const QueueStats stats = bench.queue();
  CHECK(stats.in_flight == 0);
  CHECK(stats.dispatched == 2);
  CHECK(stats.finished == 1);
  CHECK(stats.failed == 1);
  CHECK(stats.queued.count() == 2);
  CHECK(stats.queued.sum() == 4 + 4);
  CHECK(stats.service.sum() == 6 + 7);
}

TEST_CASE("a time that the clock cannot hold is the longest it can") {
  constexpr Nanoseconds kFirst = std::numeric_limits<Nanoseconds>::min();
  Bench bench(one_queue());
  bench.submit("a", {}, kFirst);
  CHECK(bench.advance(kNever) == "a");
  CHECK(bench.finish('a', true, kFirst));
  CHECK(bench.queue().queued.sum() == kNever);
  CHECK(bench.queue().service.sum() == 0);
}

TEST_CASE("fewer credits than are in use hold dispatches back until enough have come back") {
  Bench bench(one_queue({.credits = 3}));
  bench.submit("abcde");
  CHECK(bench.advance() == "a b c");
  bench.core.set_credits(0, 2);
  CHECK(bench.run("a") == "");
  CHECK(bench.backbone().credits == 2);
  CHECK(bench.backbone().credits_in_use == 2);
  CHECK(bench.run("b") == "d");
  bench.core.set_credits(0, 3);
  CHECK(bench.advance() == "e");
}

TEST_CASE("no credits, or those of no backbone, are refused") {
  Core core(one_queue());
  CHECK_THROWS_AS(core.set_credits(0, 0), InvalidArgument);
  CHECK_THROWS_AS(core.set_credits(1, 1), InvalidArgument);
  CHECK(core.backbone_stats()[0].credits == 1);
}

TEST_CASE("the backbones dispatch in order, and number their dispatches together") {
  Plan plan = one_queue();
  plan.backbones.push_back(plan.backbones[0]);
  plan.queues.push_back({.backbone = 1, .capacity = 10, .tenant_capacity = 10});
  Bench bench(plan);
  bench.submit("x", {.queue = 1});
  bench.submit("a");
  std::vector<Event> events;
  bench.core.advance(0, events);
  REQUIRE(events.size() == 2);
  CHECK(events[0].id == bench.id('a'));
  CHECK(events[0].batch == 1);
  CHECK(events[1].id == bench.id('x'));
  CHECK(events[1].batch == 2);
}

TEST_CASE("closing ends what waits, in order of admission, and lets work in flight finish") {
  Bench bench(one_queue({.credits = 2}));
  bench.submit("a", {.group = 7});
  CHECK(bench.advance() == "a");
  bench.submit("b", {.deadline = 900});
  bench.submit("c", {.group = 7});
  bench.submit("d", {.deadline = 5, .tenant = 1});
  CHECK(bench.cancel('b'));
  bench.submit("e", {.tenant = 2});
  CHECK_FALSE(bench.core.closed());
  CHECK(bench.close() == "!c !d !e");
  CHECK(bench.core.closed());
  CHECK(bench.close() == "");
  CHECK(bench.core.next_timer() == kNever);
  CHECK(bench.advance(1000) == "");
  CHECK(bench.queue().closed == 3);
  CHECK(bench.finish('a', false));
  CHECK(bench.backbone().credits_in_use == 0);
  CHECK(bench.backbone().promotions == 0);
}

}  // namespace
}  // namespace budgetmem
