// What the core allocates: nothing that grows with the items that have come and gone, and hardly
// anything while as many come as go.
#include <doctest/doctest.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "budgetmem/core.hpp"
#include "fixtures.hpp"

namespace {

std::atomic<std::size_t> allocations = 0;
std::atomic<std::size_t> allocated = 0;  // bytes that are in use
std::atomic<bool> exhausted = false;     // then no memory is given

}  // namespace

// Not inlined: a compiler that sees the free() in a caller takes it for a mismatch with operator
// new.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* const memory = exhausted ? nullptr : std::malloc(size);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  ++allocations;
  allocated += malloc_usable_size(memory);
  return memory;
}

[[gnu::noinline]] void operator delete(void* memory) noexcept {
  allocated -= memory == nullptr ? 0 : malloc_usable_size(memory);
  std::free(memory);
}

[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  operator delete(memory);
}

namespace budgetmem {
namespace {

constexpr Nanoseconds kFarOff = 1'000'000'000;

ItemId submit(Core& core, const Item& item) {
  ItemId id = 0;
  Admission answer = Admission::closed;
  core.submit({&item, 1}, 0, {&id, 1}, {&answer, 1});
  REQUIRE(answer == Admission::accepted);
  return id;
}

// How many bytes more are in use after many times than after some.
std::size_t growth(const std::function<void(std::uint32_t)>& storm) {
  constexpr std::uint32_t kSome = 2'000;
  constexpr std::uint32_t kMany = 100'000;
  for (std::uint32_t i = 0; i < kSome; ++i) {
    storm(i);
  }
  const std::size_t before = allocated;
  for (std::uint32_t i = kSome; i < kMany; ++i) {
    storm(i);
  }
  return allocated > before ? allocated - before : 0;
}

TEST_CASE("items that are submitted and cancelled leave nothing behind") {
  Core core(testing::one_queue({.pads = true}));
  std::vector<Event> events;
  submit(core, {});
  core.advance(0, events);  // takes the only credit
  submit(core, {.deadline = kFarOff});
  CHECK(growth([&](std::uint32_t i) {
          const ItemId id = submit(core, {.group = 1 + i,
                                          .deadline = kFarOff + 1 + i,  // behind one that lives
                                          .tenant = i % 3,
                                          .tokens = 1 + i % 5});
          REQUIRE(core.cancel(id));
        }) == 0);
}

TEST_CASE("tenants that come and go leave nothing behind while credits are free") {
  Core core(testing::one_queue());
  std::vector<Event> events;
  CHECK(growth([&](std::uint32_t i) {
          REQUIRE(core.cancel(submit(core, {.tenant = i})));
          core.advance(0, events);
        }) == 0);
  CHECK(events.empty());
}

TEST_CASE("tenants that come and go leave nothing behind while no credit is free") {
  Core core(testing::one_queue());
  std::vector<Event> events;
  submit(core, {});
  core.advance(0, events);  // takes the only credit
  submit(core, {.tenant = 1});
  CHECK(growth([&](std::uint32_t i) {
          REQUIRE(core.cancel(submit(core, {.tenant = 2 + i})));
          core.advance(0, events);
        }) == 0);
  CHECK(events.size() == 1);
}

TEST_CASE("members that are held and cancelled leave nothing behind") {
  Core core(testing::one_queue({.credits = 2}));
  std::vector<Event> events;
  submit(core, {.group = 7});
  core.advance(0, events);
  CHECK(growth([&](std::uint32_t i) {
          const ItemId id = submit(core, {.group = 7, .deadline = kFarOff, .tenant = i});
          core.advance(0, events);
          REQUIRE(core.cancel(id));
        }) == 0);
  CHECK(events.size() == 1);
}

TEST_CASE("the timers of what was dispatched in time leave nothing behind") {
  Core core(testing::one_queue({.credits = 2, .leader_timeout = kFarOff}));
  std::vector<Event> events;
  submit(core, {.group = 7});
  core.advance(0, events);  // its timers stay the first
  submit(core, {.group = 7, .deadline = kFarOff});
  CHECK(growth([&](std::uint32_t i) {
          const ItemId id = submit(core, {.group = 8 + i, .deadline = kFarOff + 1 + i});
          events.clear();
          core.advance(0, events);
          REQUIRE(core.finish(id, true, 0));
        }) == 0);
}

// What a process says on stderr in which a call has no memory, and the signal that ends it.
std::pair<std::string, int> without_memory(const std::function<void()>& call) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    std::signal(SIGABRT, SIG_DFL);
    exhausted = true;
    try {
      call();
    } catch (const std::bad_alloc&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  std::array<char, 200> said{};
  const ssize_t length = ::read(ends[0], said.data(), said.size());
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return {{said.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))},
          WIFSIGNALED(status) ? WTERMSIG(status) : 0};
}

TEST_CASE("a change without memory ends the process, and says why") {
  Core core(testing::one_queue());
  const std::pair<std::string, int> end = {"budgetmem: the scheduler is out of memory\n", SIGABRT};
  CHECK(without_memory([&] { submit(core, {}); }) == end);
  submit(core, {});
  CHECK(without_memory([&] {
          std::vector<Event> events;
          core.advance(0, events);
        }) == end);
  CHECK(without_memory([&] {
          std::vector<Event> events;
          core.close(events);
        }) == end);
  CHECK(without_memory([&] { static_cast<void>(core.queue_stats()); }) ==
        std::pair(std::string(), 0));
}

TEST_CASE("while as many items come as go, there are few allocations") {
  constexpr std::uint32_t kItems = 500;
  constexpr std::uint32_t kTenants = 5;
  Core core(testing::one_queue({.credits = 10}));
  std::vector<Item> items(kItems);
  for (std::uint32_t i = 0; i < kItems; ++i) {
    items[i] = {.deadline = kFarOff, .tenant = i % kTenants, .tokens = 1 + i % 90};
  }
  std::vector<ItemId> ids(kItems);
  std::vector<Admission> answers(kItems);
  std::vector<Event> events;
  const auto round = [&] {
    core.submit(items, 0, ids, answers);
    do {
      events.clear();
      core.advance(0, events);
      for (const Event& event : events) {
        core.finish(event.id, true, 0);
      }
    } while (!events.empty());
  };
  round();
  const std::size_t before = allocations;
  round();
  CHECK(allocations - before <= kTenants);
  CHECK(core.queue_stats()[0].finished == 2 * kItems);
}

}  // namespace
}  // namespace budgetmem
