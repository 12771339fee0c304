#include <doctest/doctest.h>

#include "fixtures.hpp"

namespace budgetmem {
namespace {

using testing::Bench;
using testing::one_queue;

constexpr Item kMember{.group = 7};

TEST_CASE("members wait while their leader reads, and others do not") {
  Bench bench(one_queue({.credits = 4}));
  bench.submit("abc", kMember);
  bench.submit("x");
  bench.submit("m", {.group = 8});
  CHECK(bench.advance() == "a x m");
  CHECK(bench.queue().waiting == 2);
  CHECK(bench.backbone().leaders == 2);
}

TEST_CASE("the leader's first token releases its siblings") {
  Bench bench(one_queue({.credits = 4}));
  bench.submit("abc", kMember);
  CHECK(bench.advance() == "a");
  bench.first_token('a');
  CHECK(bench.advance() == "b c");
  CHECK(bench.backbone().leaders == 1);
  CHECK(bench.backbone().siblings == 2);
  bench.submit("d", kMember);  // a group that is read holds nobody
  CHECK(bench.advance() == "d");
}

TEST_CASE("the first token of an item that does not lead does nothing") {
  Bench bench(one_queue({.credits = 4}));
  bench.submit("abc", kMember);
  bench.submit("x");
  CHECK(bench.advance() == "a x");
  bench.first_token('x');
  bench.first_token('b');
  CHECK(bench.advance() == "");
  bench.first_token('a');
  bench.first_token('a');
  CHECK(bench.advance() == "b c");
}

TEST_CASE("a leader that finishes well releases its siblings") {
  Bench bench(one_queue({.credits = 4}));
  bench.submit("abc", kMember);
  CHECK(bench.advance() == "a");
  CHECK(bench.run("a") == "b c");
  CHECK(bench.backbone().promotions == 0);
}

TEST_CASE("when a leader fails unread, the next that is taken leads") {
  Bench bench(one_queue({.credits = 4}));
  bench.submit("abc", kMember);
  CHECK(bench.advance() == "a");
  CHECK(bench.finish('a', false));
  CHECK(bench.advance() == "b");
  CHECK(bench.backbone().promotions == 1);
  CHECK(bench.backbone().leaders == 2);
  bench.first_token('b');
  CHECK(bench.advance() == "c");
}

TEST_CASE("a leader that fails after its first token, or the last of its group, promotes nobody") {
  Bench bench(one_queue({.credits = 4}));
  bench.submit("ab", kMember);
  CHECK(bench.advance() == "a");
  bench.first_token('a');
  CHECK(bench.finish('a', false));
  CHECK(bench.advance() == "b");
  CHECK(bench.finish('b'));
  bench.submit("c", kMember);
  CHECK(bench.advance() == "c");
  CHECK(bench.finish('c', false));
  CHECK(bench.backbone().promotions == 0);
}

TEST_CASE("a group is forgotten with its last live item, and then has a leader again") {
  Bench bench(one_queue({.credits = 4}));
  bench.submit("a", kMember);
  CHECK(bench.advance() == "a");
  CHECK(bench.finish('a'));
  bench.submit("bc", kMember);
  CHECK(bench.advance() == "b");
  CHECK(bench.backbone().leaders == 2);
}

TEST_CASE("a leader that is slow releases its siblings after leader_timeout") {
  Bench bench(one_queue({.credits = 4, .leader_timeout = 50}));
  bench.submit("abc", kMember);
  CHECK(bench.advance(100) == "a");
  CHECK(bench.core.next_timer() == 150);
  CHECK(bench.advance(149) == "");
  CHECK(bench.advance(150) == "b c");
  CHECK(bench.backbone().timeouts == 1);
  CHECK(bench.core.next_timer() == kNever);
  CHECK(bench.finish('a', false));
  CHECK(bench.backbone().promotions == 0);
}

TEST_CASE("the time of a leader is its own: a promoted one has all of it") {
  Bench bench(one_queue({.credits = 4, .leader_timeout = 50}));
  bench.submit("abc", kMember);
  CHECK(bench.advance(100) == "a");
  CHECK(bench.finish('a', false, 140));
  CHECK(bench.core.next_timer() == kNever);
  CHECK(bench.advance(140) == "b");
  CHECK(bench.core.next_timer() == 190);
  CHECK(bench.advance(150) == "");
  CHECK(bench.advance(190) == "c");
}

TEST_CASE("groups are those of a backbone") {
  Plan plan = one_queue();
  plan.backbones.push_back(plan.backbones[0]);
  plan.queues.push_back({.backbone = 1, .capacity = 10, .tenant_capacity = 10});
  Bench bench(plan);
  bench.submit("a", kMember);
  bench.submit("x", {.group = kMember.group, .queue = 1});
  CHECK(bench.advance() == "a x");
}

TEST_CASE("members go back in line at their old place") {
  Bench bench(one_queue({.credits = 2}));
  bench.submit("a", {.group = 7, .deadline = 1});
  bench.submit("b", {.group = 7, .deadline = 20});
  bench.submit("x", {.deadline = 30});
  CHECK(bench.advance() == "a x");
  bench.submit("y", {.deadline = 10});
  bench.submit("z", {.deadline = 20});
  bench.first_token('a');
  CHECK(bench.run("x") == "y");
  CHECK(bench.run("y") == "b");
  CHECK(bench.run("b") == "z");
}

TEST_CASE("tenants join the ring again in the order in which their members were held") {
  Bench bench(one_queue({.credits = 2}, 10));
  bench.submit("a", {.group = 7, .tenant = 1, .tokens = 10});
  bench.submit("b", {.group = 7, .tenant = 3, .tokens = 10});
  bench.submit("c", {.group = 7, .tenant = 2, .tokens = 10});
  CHECK(bench.advance() == "a");  // and looks at tenants 3 and 2, who leave the ring
  bench.submit("x", {.tenant = 4, .tokens = 10});
  bench.first_token('a');
  CHECK(bench.advance() == "x");
  CHECK(bench.run("x") == "b");
  CHECK(bench.run("b") == "c");
}

TEST_CASE("a held member is passed over for the tenant's next, in the same turn") {
  Bench bench(one_queue({.credits = 2}, 10));
  bench.submit("a", {.group = 7, .tenant = 1, .tokens = 10});
  CHECK(bench.advance() == "a");
  bench.submit("b", {.group = 7, .tenant = 1, .tokens = 10});
  bench.submit("c", {.tenant = 1, .tokens = 10});
  bench.submit("x", {.tenant = 2, .tokens = 10});
  CHECK(bench.advance() == "c");
}

TEST_CASE("a seed's siblings do not join its batch") {
  Bench bench(one_queue({.batch_items = 4}));
  bench.submit("ab", kMember);
  bench.submit("x");
  bench.submit("mn", {.group = 8});
  CHECK(bench.advance() == "axm");
  CHECK(bench.run("axm") == "bn");
}

TEST_CASE("a member that is held can be cancelled, and frees its place") {
  Plan plan = one_queue({.credits = 4});
  plan.queues[0].capacity = 2;
  Bench bench(plan);
  bench.submit("ab", kMember);
  CHECK(bench.advance() == "a");
  bench.submit("c", kMember);
  CHECK(bench.advance() == "");
  CHECK(bench.offer('d', kMember) == Admission::full);
  CHECK(bench.cancel('b'));
  CHECK(bench.offer('d', kMember) == Admission::accepted);
  bench.first_token('a');
  CHECK(bench.advance() == "c d");
}

}  // namespace
}  // namespace budgetmem
