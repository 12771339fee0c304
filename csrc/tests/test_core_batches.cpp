#include <doctest/doctest.h>

#include "fixtures.hpp"

namespace budgetmem {
namespace {

using testing::Bench;
using testing::one_queue;

TEST_CASE("a batch is filled with an item of each tenant, round and round") {
  Bench bench(one_queue({.batch_items = 5}));
  bench.submit("abcd", {.tenant = 1});
  bench.submit("xy", {.tenant = 2});
  bench.submit("m", {.tenant = 3});
  CHECK(bench.advance() == "abxmc");
  CHECK(bench.run("abxmc") == "dy");
}

TEST_CASE("a batch that is not full goes at once") {
  Bench bench(one_queue({.batch_items = 8}));
  bench.submit("a");
  CHECK(bench.advance() == "a");
}

TEST_CASE("a batch has one number, holds one credit, and returns it with its last item") {
  Bench bench(one_queue({.batch_items = 3}));
  bench.submit("abcd");
  std::vector<Event> events;
  bench.core.advance(0, events);
  REQUIRE(events.size() == 3);
  CHECK(events[0].batch == 1);
  CHECK(events[2].batch == 1);
  CHECK(bench.backbone().batches == 1);
  CHECK(bench.backbone().credits_in_use == 1);
  CHECK(bench.run("ac") == "");
  CHECK(bench.run("b") == "d");
}

TEST_CASE("a backbone that pads batches items of one length bucket only") {
  Bench bench(one_queue({.batch_items = 4, .pads = true}));
  bench.submit("a", {.tokens = 8});
  bench.submit("b", {.tokens = 7});
  bench.submit("c", {.tokens = 15});
  bench.submit("d", {.tokens = 16});
  bench.submit("e", {.tokens = 4});
  CHECK(bench.drain() == "ac be d");
}

TEST_CASE("the largest items have a bucket too") {
  Bench bench(one_queue({.batch_items = 2, .pads = true}));
  bench.submit("ab", {.tokens = kMaxTokens});
  CHECK(bench.advance() == "ab");
}

TEST_CASE("a backbone that does not pad batches all lengths") {
  Bench bench(one_queue({.batch_items = 4}));
  bench.submit("a", {.tokens = 1});
  bench.submit("b", {.tokens = 1000});
  CHECK(bench.advance() == "ab");
}

TEST_CASE("a batch's items times its longest stay within batch_tokens") {
  Bench bench(one_queue({.batch_items = 8, .batch_tokens = 30}));
  bench.submit("ab", {.tenant = 1, .tokens = 10});
  bench.submit("x", {.tenant = 2, .tokens = 11});  // would make it 3 * 11
  bench.submit("m", {.tenant = 3, .tokens = 1});
  CHECK(bench.advance() == "abm");
  CHECK(bench.run("abm") == "x");
}

TEST_CASE("a seed may pass batch_tokens alone") {
  Bench bench(one_queue({.batch_items = 8, .batch_tokens = 30}));
  bench.submit("a", {.tokens = 31});
  bench.submit("b", {.tokens = 1});
  CHECK(bench.drain() == "a b");
}

TEST_CASE("joining is charged: a deficit below 0 is paid back in later turns") {
  Bench bench(one_queue({.batch_items = 2, .pads = true}, 10));
  bench.submit("a", {.tenant = 1, .tokens = 9});
  bench.submit("bcde", {.tenant = 1, .tokens = 1});
  bench.submit("x", {.tenant = 2, .tokens = 15});  // joins a: tenant 2 is at -15
  bench.submit("yz", {.tenant = 2, .tokens = 64});
  CHECK(bench.advance() == "ax");
  // Alone in their buckets: tenant 1 goes on with what it has, b and c, d and e, for 4 tokens.
  bench.submit("f", {.tenant = 1, .tokens = 64});
  CHECK(bench.run("ax") == "bc");
  CHECK(bench.run("bc") == "de");
  // f takes tenant 1, from -3, 7 quanta to seed; y takes tenant 2, from -15, 8.
  CHECK(bench.run("de") == "fy");
}

TEST_CASE("a tenant gives its most urgent item of the bucket, though others are more urgent") {
  Bench bench(one_queue({.batch_items = 2, .pads = true}));
  bench.submit("a", {.deadline = 50, .tenant = 1, .tokens = 8});
  bench.submit("x", {.deadline = 10, .tenant = 2, .tokens = 1});
  bench.submit("y", {.deadline = 30, .tenant = 2, .tokens = 9});
  bench.submit("z", {.deadline = 20, .tenant = 2, .tokens = 10});
  CHECK(bench.advance() == "az");
}

}  // namespace
}  // namespace budgetmem
