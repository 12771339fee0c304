#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "fixtures.hpp"

namespace budgetmem {
namespace {

using testing::Bench;
using testing::one_queue;

TEST_CASE("a tenant's turn is as many tokens as the quantum") {
  Bench bench(one_queue({}, 10));
  bench.submit("abcd", {.tenant = 1, .tokens = 5});
  bench.submit("wxyz", {.tenant = 2, .tokens = 5});
  CHECK(bench.drain() == "a b w x c d y z");
}

TEST_CASE("a turn that does not cover the next item leaves its deficit to the next turn") {
  Bench bench(one_queue({}, 10));
  bench.submit("abcd", {.tenant = 1, .tokens = 6});
  bench.submit("wxyz", {.tenant = 2, .tokens = 4});
  // Tenant 1 has 10 (a), 4 + 10 (b c), 2 + 10; tenant 2 has 10 (w x), 2 + 10 (y z).
  CHECK(bench.drain() == "a w x b c y z d");
}

TEST_CASE("a tenant alone needs no turns, and gathers no deficit") {
  Bench bench(one_queue({}, 10));
  bench.submit("ab", {.tenant = 1, .tokens = 1000});
  CHECK(bench.advance() == "a");
  bench.submit("x", {.tenant = 2, .tokens = 10});
  CHECK(bench.drain() == "");
  CHECK(bench.run("a") == "x");
  CHECK(bench.run("x") == "b");
}

TEST_CASE("a tenant alone keeps what it had saved") {
  Bench bench(one_queue({}, 10));
  bench.submit("a", {.tenant = 1, .tokens = 5});
  bench.submit("b", {.tenant = 1, .tokens = 20});
  bench.submit("c", {.tenant = 1, .tokens = 1});
  bench.submit("d", {.tenant = 1, .tokens = 14});
  bench.submit("x", {.tenant = 2, .tokens = 10});
  CHECK(bench.advance() == "a");
  CHECK(bench.run("a") == "x");  // the 5 of tenant 1 do not cover b
  CHECK(bench.cancel('b'));
  CHECK(bench.run("x") == "c");  // tenant 2 has left; tenant 1 still has 4
  bench.submit("y", {.tenant = 3, .tokens = 10});
  CHECK(bench.run("c") == "d");
}

TEST_CASE("a turn that began alone has its quantum when somebody else comes") {
  Bench bench(one_queue({}, 10));
  bench.submit("abc", {.tenant = 1, .tokens = 5});
  CHECK(bench.advance() == "a");
  bench.submit("xyz", {.tenant = 2, .tokens = 5});
  CHECK(bench.run("a") == "b");
  CHECK(bench.run("b") == "c");
  CHECK(bench.run("c") == "x");
}

TEST_CASE("a tenant that leaves the ring forgets its deficit and comes back last") {
  Bench bench(one_queue({}, 10));
  bench.submit("a", {.tenant = 1, .tokens = 1});  // leaves 9
  bench.submit("x", {.tenant = 2, .tokens = 10});
  CHECK(bench.advance() == "a");
  CHECK(bench.run("a") == "x");  // tenant 1 was looked at, and left
  bench.submit("bc", {.tenant = 1, .tokens = 10});
  bench.submit("y", {.tenant = 3, .tokens = 10});
  // With 9 left over the turn of tenant 1 would still be one item; a second needs 20.
  CHECK(bench.run("x") == "b");
  CHECK(bench.run("b") == "y");
}

TEST_CASE("a tenant that leaves while its items are held forgets its deficit too") {
  Bench bench(one_queue({.credits = 3}, 10));
  bench.submit("a", {.group = 7, .tenant = 1, .tokens = 1});  // leaves 9
  bench.submit("b", {.group = 7, .tenant = 1, .tokens = 12});
  bench.submit("xy", {.tenant = 2, .tokens = 10});
  CHECK(bench.advance() == "a x y");
  bench.submit("vw", {.tenant = 2, .tokens = 10});
  bench.first_token('a');
  CHECK(bench.run("x") == "v");
  CHECK(bench.run("v") == "w");
  CHECK(bench.run("w") == "b");
}

TEST_CASE("a tenant whose only item is cancelled keeps its place until it is looked at") {
  Bench bench(one_queue({}, 10));
  bench.submit("q", {.tenant = 9, .tokens = 10});
  CHECK(bench.advance() == "q");
  bench.submit("a", {.tenant = 1, .tokens = 10});
  bench.submit("x", {.tenant = 2, .tokens = 10});
  CHECK(bench.cancel('a'));
  bench.submit("b", {.tenant = 1, .tokens = 10});
  CHECK(bench.run("q") == "b");
}

TEST_CASE(
    "tenants with nothing in line leave a ring that grows, and the others keep their places") {
  Bench bench(one_queue({}, 10));
  bench.submit("q", {.tenant = 200, .tokens = 10});
  CHECK(bench.advance() == "q");
  bench.submit("ab", {.tenant = 1, .tokens = 10});
  bench.submit("xy", {.tenant = 2, .tokens = 10});
  CHECK(bench.cancel('a'));
  CHECK(bench.cancel('b'));
  for (std::uint32_t tenant = 3; tenant < 100; ++tenant) {
    bench.submit("m", {.tenant = tenant, .tokens = 10});
    CHECK(bench.cancel('m'));
  }
  bench.submit("n", {.tenant = 100, .tokens = 10});
  bench.submit("b", {.tenant = 1, .tokens = 10});  // comes back last
  CHECK(bench.run("q") == "x");
  CHECK(bench.drain() == "");
  CHECK(bench.run("x") == "n");
  CHECK(bench.run("n") == "b");
  CHECK(bench.run("b") == "y");
}

TEST_CASE("with a free credit a tenant without work leaves the ring in the same advance") {
  Bench bench(one_queue({.credits = 2}, 10));
  bench.submit("a", {.tenant = 1, .tokens = 1});
  CHECK(bench.advance() == "a");
  bench.core.set_credits(0, 1);
  bench.submit("x", {.tenant = 2, .tokens = 1});
  bench.submit("b", {.tenant = 1, .tokens = 1});
  CHECK(bench.run("a") == "x");
}

TEST_CASE("items much longer than the quantum take turns too, in bounded time") {
  Bench bench(one_queue({}, 1));
  bench.submit("ab", {.tenant = 1, .tokens = kMaxTokens});
  bench.submit("wxyz", {.tenant = 2, .tokens = kMaxTokens / 2});
  CHECK(bench.drain() == "w a x y b z");
}

TEST_CASE("it is bounded time too where a tenant leaves meanwhile" * doctest::timeout(10)) {
  Bench bench(one_queue({}, 1));
  for (int round = 0; round < 2000; ++round) {
    bench.submit("q", {.tenant = 9});
    CHECK(bench.advance() == "q");
    bench.submit("a", {.tenant = 1, .tokens = kMaxTokens});
    bench.submit("x", {.tenant = 2, .tokens = kMaxTokens});
    bench.submit("m", {.tenant = 3});
    CHECK(bench.cancel('m'));  // leaves after the others' first turns
    CHECK(bench.run("q") == "a");
    CHECK(bench.run("a") == "x");
    CHECK(bench.run("x") == "");
  }
}

TEST_CASE("each backbone has a ring of its own") {
  Plan plan = one_queue({}, 10);
  plan.backbones.push_back(plan.backbones[0]);
  plan.queues.push_back({.backbone = 1, .capacity = 10, .tenant_capacity = 10});
  Bench bench(plan);
  bench.submit("ab", {.tenant = 1, .tokens = 10});
  bench.submit("x", {.tenant = 2, .tokens = 10});
  bench.submit("mn", {.queue = 1, .tenant = 1, .tokens = 10});
  CHECK(bench.advance() == "a m");
  CHECK(bench.run("a") == "x");
  CHECK(bench.run("m") == "n");
}

TEST_CASE("tenants with a backlog are served alike in tokens, however long their items are") {
  Bench bench(one_queue({}, 100));
  const std::vector<Item> shorter(2000, {.tenant = 1, .tokens = 7});
  const std::vector<Item> longer(200, {.tenant = 2, .tokens = 90});
  std::vector<ItemId> ids(2000);
  std::vector<Admission> answers(2000);
  bench.core.submit(shorter, 0, ids, answers);
  const ItemId last_shorter = ids.back();
  ids.resize(200);
  answers.resize(200);
  bench.core.submit(longer, 0, ids, answers);
  const std::vector<ItemId>& of_longer = ids;

  std::int64_t lead = 0;
  for (int i = 0; i < 1000; ++i) {
    std::vector<Event> events;
    bench.core.advance(0, events);
    REQUIRE(events.size() == 1);
    const ItemId id = events[0].id;
    REQUIRE(id != last_shorter);
    const bool is_long = std::ranges::find(of_longer, id) != of_longer.end();
    lead += is_long ? -90 : 7;
    CHECK(std::abs(lead) <= 100 + 90);
    REQUIRE(bench.core.finish(id, true, 0));
  }
}

// Two tenants keep a backlog of one length bucket, and join each other's batches; then the second
// has an item of another bucket. In how many batches it goes.
std::uint64_t batches_until_seeded(std::uint32_t first, std::uint32_t second) {
  constexpr std::uint64_t kEnough = 500;
  Core core(one_queue({.batch_items = 32, .batch_tokens = 4096, .pads = true}, 1024));
  const auto submit = [&](const Item& item, std::size_t count) {
    std::vector<ItemId> ids(count);
    std::vector<Admission> answers(count);
    core.submit(std::vector<Item>(count, item), 0, ids, answers);
    return ids.back();
  };
  ItemId lone = 0;
  std::uint64_t asked_after = 0;
  for (std::uint64_t batch = 1;; ++batch) {
    submit({.tenant = 1, .tokens = first}, 32);
    submit({.tenant = 2, .tokens = second}, 32);
    if (batch == 100) {
      lone = submit({.deadline = 1'000'000, .tenant = 2, .tokens = 1}, 1);
      asked_after = batch - 1;
    }
    std::vector<Event> events;
    core.advance(0, events);
    for (const Event& event : events) {
      if (event.id == lone || batch > kEnough) {
        return batch - asked_after;
      }
      core.finish(event.id, true, 0);
    }
  }
}

TEST_CASE("a tenant that joins more than its turns pay for seeds within a bounded time") {
  CHECK(batches_until_seeded(16, 31) <= 20);
  CHECK(batches_until_seeded(64, 127) <= 20);
  CHECK(batches_until_seeded(127, 64) <= 20);
  CHECK(batches_until_seeded(256, 511) <= 20);
}

}  // namespace
}  // namespace budgetmem
