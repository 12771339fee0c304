#include <doctest/doctest.h>

#include "fixtures.hpp"

namespace budgetmem {
namespace {

using testing::Bench;
using testing::one_queue;

TEST_CASE("a waiting item expires once its deadline cannot be met any more") {
  Bench bench(one_queue({.fixed = 10, .per_token = 2}));
  bench.submit("a");
  CHECK(bench.advance() == "a");
  bench.submit("b", {.deadline = 100, .tokens = 5});
  CHECK(bench.core.next_timer() == 81);
  CHECK(bench.advance(80) == "");
  CHECK(bench.advance(81) == "-b");
  CHECK(bench.core.next_timer() == kNever);
  CHECK(bench.queue().expired == 1);
  CHECK(bench.queue().waiting == 0);
  CHECK_FALSE(bench.cancel('b'));
}

TEST_CASE("items expire in order of drop time, then of admission, before anything is dispatched") {
  Bench bench(one_queue({.per_token = 1}));
  bench.submit("z");
  bench.submit("a", {.deadline = 90, .tokens = 10});
  bench.submit("b", {.deadline = 81, .tokens = 1});
  bench.submit("c", {.deadline = 50});
  bench.submit("d", {.deadline = 81, .tokens = 1});
  CHECK(bench.advance(200) == "-c -a -b -d z");
}

TEST_CASE("a held member expires too") {
  Bench bench(one_queue({.credits = 2}));
  bench.submit("a", {.group = 7});
  CHECK(bench.advance() == "a");
  bench.submit("b", {.group = 7, .deadline = 50});
  CHECK(bench.advance() == "");
  CHECK(bench.advance(51) == "-b");
  bench.first_token('a');
  CHECK(bench.advance(51) == "");
}

TEST_CASE("what was dispatched or cancelled does not expire, and has no timer") {
  Bench bench(one_queue());
  bench.submit("a", {.deadline = 50});
  bench.submit("b", {.deadline = 60});
  bench.submit("c", {.deadline = 70});
  CHECK(bench.advance() == "a");
  CHECK(bench.core.next_timer() == 61);
  CHECK(bench.cancel('b'));
  CHECK(bench.core.next_timer() == 71);
  CHECK(bench.run("a", 70) == "c");
  CHECK(bench.core.next_timer() == kNever);
  CHECK(bench.advance(1000) == "");
}

TEST_CASE("the next timer is the earlier of an expiry and a release, of all backbones") {
  Plan plan = one_queue({.leader_timeout = 100});
  plan.backbones.push_back({.leader_timeout = 40});
  plan.queues.push_back({.backbone = 1, .capacity = 10, .tenant_capacity = 10});
  Bench bench(plan);
  CHECK(bench.core.next_timer() == kNever);
  bench.submit("a", {.group = 7});
  bench.advance(0);
  CHECK(bench.core.next_timer() == 100);
  bench.submit("x", {.group = 7, .queue = 1}, 10);
  bench.advance(10);
  CHECK(bench.core.next_timer() == 50);
  bench.submit("b", {.deadline = 30}, 10);
  CHECK(bench.core.next_timer() == 31);
}

TEST_CASE("an advance with a limit stops between dispatches, and the next goes on") {
  const auto load = [](Bench& bench) {
    bench.submit("a", {.deadline = 10, .tenant = 1});
    bench.submit("b", {.deadline = 20, .tenant = 2});
    bench.submit("cdef", {.group = 7, .tenant = 1});
    bench.submit("ghij", {.tenant = 2, .tokens = 4});
  };
  const Plan plan = one_queue({.credits = 8, .batch_items = 2, .leader_timeout = 0}, 5);
  Bench at_once(plan);
  load(at_once);
  const std::string all = at_once.advance(50);
  CHECK(all == "-a -b cg hi j");
  CHECK_FALSE(at_once.more);

  Bench in_parts(plan);
  load(in_parts);
  std::string parts;
  do {
    const std::string part = in_parts.advance(50, 1);
    parts += (parts.empty() || part.empty() ? "" : " ") + part;
  } while (in_parts.more);
  CHECK(parts == all);
  CHECK(in_parts.core.next_timer() == 50);  // of the group, of which the time was up at once
  CHECK(at_once.advance(50) == "de f");     // the next pass finds that out
  CHECK(in_parts.advance(50) == "de f");
}

}  // namespace
}  // namespace budgetmem
