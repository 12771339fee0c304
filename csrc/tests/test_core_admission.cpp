#include <doctest/doctest.h>

#include <limits>
#include <set>

#include "fixtures.hpp"

namespace budgetmem {
namespace {

using testing::Bench;
using testing::one_queue;

// The field that a submission of these items is refused for.
std::string refused(Core& core, const std::vector<Item>& items) {
  std::vector<ItemId> ids(items.size());
  std::vector<Admission> answers(items.size());
  try {
    core.submit(items, 0, ids, answers);
  } catch (const InvalidArgument& error) {
    return error.field();
  }
  return "";
}

TEST_CASE("a queue takes as many as it has capacity for, and counts the others as full") {
  Plan plan = one_queue();
  plan.queues[0].capacity = 2;
  Bench bench(plan);
  bench.submit("ab");
  CHECK(bench.offer('c') == Admission::full);
  CHECK(bench.queue().accepted == 2);
  CHECK(bench.queue().full == 1);
  CHECK(bench.queue().waiting == 2);
}

TEST_CASE("a tenant takes no more than its part of a queue, and leaves the rest to others") {
  Plan plan = one_queue();
  plan.queues[0].tenant_capacity = 1;
  plan.queues.push_back(plan.queues[0]);
  Bench bench(plan);
  bench.submit("a", {.tenant = 1});
  CHECK(bench.offer('b', {.tenant = 1}) == Admission::full);
  CHECK(bench.offer('c', {.tenant = 2}) == Admission::accepted);
  CHECK(bench.offer('d', {.queue = 1, .tenant = 1}) == Admission::accepted);
}

TEST_CASE("a dispatch and a cancellation free a place at once") {
  Plan plan = one_queue();
  plan.queues[0].capacity = 1;
  Bench bench(plan);
  bench.submit("a");
  CHECK(bench.advance() == "a");
  bench.submit("b");
  CHECK(bench.offer('c') == Admission::full);
  CHECK(bench.cancel('b'));
  CHECK(bench.offer('c') == Admission::accepted);
}

TEST_CASE("a deadline that a call of this length just meets is feasible, one less is not") {
  Bench bench(one_queue({.fixed = 100, .per_token = 10}));
  const Nanoseconds least = 100 + 3 * 10;
  CHECK(bench.offer('a', {.deadline = 50 + least, .tokens = 3}, 50) == Admission::accepted);
  CHECK(bench.offer('b', {.deadline = 49 + least, .tokens = 3}, 50) == Admission::infeasible);
  CHECK(bench.queue().infeasible == 1);
}

TEST_CASE("a call that takes for ever meets no deadline, but needs none") {
  Bench bench(one_queue({.fixed = kNever, .per_token = kNever}));
  CHECK(bench.offer('a', {.deadline = kNever - 1, .tokens = 3}) == Admission::infeasible);
  CHECK(bench.offer('b', {.tokens = 3}) == Admission::accepted);
  CHECK(bench.advance(kNever) == "b");
}

TEST_CASE("a call so long that its time does not fit the clock meets no deadline") {
  Bench bench(one_queue({.fixed = 0, .per_token = kNever}));
  CHECK(bench.offer('a', {.deadline = kNever - 1, .tokens = 3}) == Admission::infeasible);
  CHECK(bench.offer('b', {.deadline = kNever - 1, .tokens = kMaxTokens}) == Admission::infeasible);
}

TEST_CASE("a deadline before the least time of the clock is met by nothing") {
  constexpr Nanoseconds kLeast = std::numeric_limits<Nanoseconds>::min();
  Bench bench(one_queue({.fixed = 100}));
  CHECK(bench.offer('a', {.deadline = kLeast + 99}, kLeast + 1) == Admission::infeasible);
  CHECK(bench.offer('b', {.deadline = kLeast + 101}, kLeast + 1) == Admission::accepted);
}

TEST_CASE("what is closed, infeasible and full at once is the first of these") {
  Plan plan = one_queue();
  plan.queues[0].capacity = 1;
  Bench bench(plan);
  bench.submit("a");
  CHECK(bench.offer('b', {.deadline = -1}) == Admission::infeasible);
  bench.close();
  CHECK(bench.offer('b', {.deadline = -1}) == Admission::closed);
  CHECK(bench.queue().refused_closed == 1);
}

TEST_CASE("a submission with an item that is wrong admits none of them") {
  Core core(one_queue());
  CHECK(refused(core, {{}, {.queue = 1}}) == "items[1].queue");
  CHECK(refused(core, {{}, {}, {.tokens = 0}}) == "items[2].tokens");
  CHECK(refused(core, {{.tokens = kMaxTokens + 1}}) == "items[0].tokens");
  CHECK(core.queue_stats()[0].accepted == 0);
  CHECK(refused(core, {{.tokens = kMaxTokens}}).empty());
}

TEST_CASE("the answers are as many as the items") {
  Core core(one_queue());
  std::vector<Item> items(2);
  std::vector<ItemId> ids(2);
  std::vector<Admission> answers(1);
  CHECK_THROWS_AS(core.submit(items, 0, ids, answers), InvalidArgument);
  CHECK(core.queue_stats()[0].accepted == 0);
}

TEST_CASE("an id is not 0 and is not used twice") {
  Bench bench(one_queue());
  std::set<ItemId> ids = {0};
  for (int i = 0; i < 1000; ++i) {
    bench.submit("a");
    CHECK(ids.insert(bench.id('a')).second);
    CHECK(bench.cancel('a'));
  }
}

TEST_CASE("a plan that cannot work makes no core") {
  Plan plan = one_queue();
  plan.queues[0].backbone = 1;
  CHECK_THROWS_AS(Core{plan}, InvalidArgument);
}

}  // namespace
}  // namespace budgetmem
