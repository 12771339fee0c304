#include <doctest/doctest.h>

#include "fixtures.hpp"

namespace budgetmem {
namespace {

using testing::Bench;
using testing::one_queue;

Plan aged(Nanoseconds age_cap) {
  Plan plan = one_queue();
  plan.age_cap = age_cap;
  return plan;
}

TEST_CASE("the earliest deadline goes first") {
  Bench bench(one_queue());
  bench.submit("a", {.deadline = 300});
  bench.submit("b", {.deadline = 100});
  bench.submit("c", {.deadline = 200});
  CHECK(bench.drain() == "b c a");
}

TEST_CASE("equals go in order of admission") {
  Bench bench(one_queue());
  bench.submit("edcba", {.deadline = 100});
  CHECK(bench.drain() == "e d c b a");
}

TEST_CASE("without deadlines the oldest request goes first, at whichever stage it is") {
  Plan plan = aged(1000);
  plan.queues.push_back(plan.queues[0]);
  Bench bench(plan);
  bench.submit("a", {.born = 30});
  bench.submit("b", {.born = 10, .queue = 1});
  bench.submit("c", {.born = 20});
  CHECK(bench.drain(30) == "b c a");
}

TEST_CASE("an item that is older than the age cap goes before deadlines to come") {
  Bench bench(aged(100));
  bench.submit("a", {.born = 40, .deadline = 145});
  bench.submit("b", {.born = 41});
  bench.submit("c", {.born = 45, .deadline = 139});
  CHECK(bench.drain(50) == "c a b");
}

TEST_CASE("an age cap that passes the end of time is the end of time") {
  Bench bench(aged(kNever));
  bench.submit("a", {.born = 5});
  bench.submit("b", {.born = 1});
  bench.submit("c", {.born = 9, .deadline = kNever - 1});
  CHECK(bench.drain(10) == "c a b");
}

}  // namespace
}  // namespace budgetmem
