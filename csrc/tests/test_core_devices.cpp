#include "fixtures.hpp"

namespace budgetmem::testing {
namespace {

// Three backbones of so many credits and devices, with a queue each.
Plan sharing(std::uint32_t first, std::uint32_t second, std::uint32_t third,
             std::uint32_t credits = 2) {
  return {.backbones = {{.credits = credits, .device = first},
                        {.credits = credits, .device = second},
                        {.credits = credits, .device = third}},
          .queues = {{0, 99, 99}, {1, 99, 99}, {2, 99, 99}},
          .age_cap = kNever,
          .device_turn = 100};
}

TEST_CASE("backbones of one device take turns, others do not wait for them") {
  Bench bench(sharing(5, 0, 5));
  bench.submit("ab", {.queue = 0});
  bench.submit("xy", {.queue = 1});
  bench.submit("pq", {.queue = 2});
  CHECK(bench.advance() == "a b x y");
  CHECK(bench.run("a") == "");
  CHECK(bench.run("bx") == "p q");
}

TEST_CASE("backbones without a device do not take turns") {
  Bench bench(sharing(0, 0, 0));
  bench.submit("a", {.queue = 0});
  bench.submit("x", {.queue = 1});
  bench.submit("p", {.queue = 2});
  CHECK(bench.advance() == "a x p");
}

TEST_CASE("devices of different names do not wait for each other") {
  Bench bench(sharing(5, 5, 6));
  bench.submit("a", {.queue = 0});
  bench.submit("x", {.queue = 1});
  bench.submit("p", {.queue = 2});
  CHECK(bench.advance() == "a p");
  CHECK(bench.run("a") == "x");
}

TEST_CASE("a turn goes on until its time is over, and then what is in flight has to come back") {
  Bench bench(sharing(5, 5, 5));
  bench.submit("abcdef", {.queue = 0});
  CHECK(bench.advance() == "a b");
  bench.submit("x", {.queue = 1});
  CHECK(bench.advance(10) == "");
  CHECK(bench.run("a", 109) == "c");
  CHECK(bench.run("b", 110) == "");
  CHECK(bench.core.next_timer() == 210);
  CHECK(bench.run("c", 130) == "x");
  CHECK(bench.run("x", 131) == "d e");
}

TEST_CASE("time counts from when others wait") {
  Bench bench(sharing(5, 5, 5, 1));
  bench.submit("abcd", {.queue = 0});
  CHECK(bench.advance() == "a");
  CHECK(bench.run("a", 1000) == "b");
  CHECK(bench.core.next_timer() == kNever);
  bench.submit("x", {.queue = 2});
  CHECK(bench.run("b", 1001) == "c");
  CHECK(bench.cancel('x'));
  CHECK(bench.run("c", 1101) == "d");
}

TEST_CASE("when those that waited may not go any more, nobody has waited") {
  Bench bench(sharing(5, 5, 5));
  bench.submit("p", {.queue = 2});
  CHECK(bench.advance() == "p");
  bench.submit("abc", {.queue = 0});
  CHECK(bench.advance() == "");
  CHECK(bench.advance(200) == "a b");  // p hangs
  bench.submit("q", {.queue = 2});
  CHECK(bench.run("a", 210) == "c");
  CHECK(bench.core.next_timer() == 410);
  bench.core.set_credits(2, 1);
  CHECK(bench.advance(220) == "");
  CHECK(bench.core.next_timer() == kNever);
}

TEST_CASE("what hangs keeps the device for two turns and no longer") {
  Bench bench(sharing(5, 5, 5));
  bench.submit("ab", {.queue = 0});
  bench.submit("x", {.queue = 1});
  CHECK(bench.advance(5) == "a b");
  CHECK(bench.core.next_timer() == 205);
  CHECK(bench.advance(204) == "");
  CHECK(bench.advance(205) == "x");
  CHECK(bench.core.next_timer() == kNever);
  bench.submit("c", {.queue = 0});
  CHECK(bench.run("a", 206) == "");
  CHECK(bench.run("x", 207) == "c");
}

TEST_CASE("turns go round in order of index") {
  Bench bench(sharing(5, 5, 5, 1));
  bench.submit("pq", {.queue = 2});
  bench.submit("xy", {.queue = 1});
  bench.submit("ab", {.queue = 0});
  std::string order = bench.advance();
  for (Nanoseconds now = 100; order.size() < 6; now += 100) {
    order += bench.run(order.substr(order.size() - 1), now);
  }
  CHECK(order == "axpbyq");
}

TEST_CASE("the siblings that a leader holds do not keep the device from others") {
  Bench bench(sharing(5, 5, 5));
  bench.submit("abc", {.group = 3, .queue = 0});
  CHECK(bench.advance() == "a");
  bench.submit("x", {.queue = 1});
  CHECK(bench.advance() == "");
  CHECK(bench.run("a", 100) == "x");
  CHECK(bench.run("x", 100) == "b c");
}

TEST_CASE("what is cancelled or expires has no turn") {
  Bench bench(sharing(5, 5, 5, 1));
  bench.submit("ab", {.queue = 0});
  bench.submit("x", {.queue = 1});
  bench.submit("p", {.deadline = 10, .queue = 2});
  CHECK(bench.advance() == "a");
  CHECK(bench.cancel('x'));
  CHECK(bench.run("a", 100) == "-p b");
}

TEST_CASE("a limit on events changes nothing about turns") {
  Bench bench(sharing(5, 5, 0));
  bench.submit("ab", {.queue = 0});
  bench.submit("xy", {.queue = 1});
  bench.submit("p", {.queue = 2});
  std::string told;
  do {
    told += bench.advance(0, 1);
  } while (bench.more);
  CHECK(told == "abp");
}

TEST_CASE("turns at the end of time do not wrap") {
  Bench bench(sharing(5, 5, 0, 1));
  bench.submit("ab", {.queue = 0}, kNever);
  bench.submit("x", {.queue = 1}, kNever);
  CHECK(bench.advance(kNever) == "x a");  // every turn is over at once
  CHECK(bench.core.next_timer() == kNever);
}

}  // namespace
}  // namespace budgetmem::testing
