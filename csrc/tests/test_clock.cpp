#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <ctime>
#include <limits>
#include <thread>
#include <vector>

#include "budgetmem/clock.hpp"

namespace budgetmem {
namespace {

Nanoseconds monotonic() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (time.tv_sec * 1'000'000'000) + time.tv_nsec;
}

// What waits on a clock: a mutex, a condition variable and a flag.
struct Sleeper {
  std::mutex mutex;
  std::condition_variable changed;
  bool told = false;

  // Sleeps until `until` has come or somebody tells; returns the clock's time.
  Nanoseconds sleep(Clock& clock, Nanoseconds until) {
    std::unique_lock lock(mutex);
    while (!told && clock.now() < until) {
      clock.wait(changed, lock, until);
    }
    return clock.now();
  }

  void tell() {
    const std::lock_guard hold(mutex);
    told = true;
    changed.notify_one();
  }
};

TEST_CASE("the steady clock is CLOCK_MONOTONIC") {
  const SteadyClock clock;
  const Nanoseconds before = monotonic();
  const Nanoseconds now = clock.now();
  CHECK(before <= now);
  CHECK(now <= monotonic());
}

TEST_CASE("the steady clock waits until a time") {
  SteadyClock clock;
  Sleeper sleeper;
  const Nanoseconds until = clock.now() + 2'000'000;
  CHECK(sleeper.sleep(clock, until) >= until);
}

TEST_CASE("the steady clock returns at once for a time gone by") {
  SteadyClock clock;
  std::mutex mutex;
  std::condition_variable changed;
  std::unique_lock lock(mutex);
  clock.wait(changed, lock, clock.now() - 1);
  clock.wait(changed, lock, std::numeric_limits<Nanoseconds>::min());
  CHECK(lock.owns_lock());
}

TEST_CASE("both clocks wake for a notification, however late the time") {
  SteadyClock steady;
  ManualClock manual;
  for (Clock* clock : {static_cast<Clock*>(&steady), static_cast<Clock*>(&manual)}) {
    for (const Nanoseconds until : {kNever, kNever - 1}) {
      Sleeper sleeper;
      std::thread thread([&] { sleeper.sleep(*clock, until); });
      sleeper.tell();
      thread.join();
      CHECK(clock->now() < until);
    }
  }
}

TEST_CASE("a manual clock stands still until it is advanced") {
  ManualClock clock(10);
  CHECK(clock.now() == 10);
  clock.advance(0);
  clock.advance(5);
  CHECK(clock.now() == 15);
  CHECK_THROWS_AS(clock.advance(-1), InvalidArgument);
  CHECK(clock.now() == 15);
  clock.advance(kNever);
  CHECK(clock.now() == kNever);
}

TEST_CASE("a manual clock may start before 0") {
  ManualClock clock(-10);
  clock.advance(kNever);
  CHECK(clock.now() == kNever - 10);
}

TEST_CASE("advancing a manual clock wakes all who wait for the time, and nobody is missed") {
  constexpr Nanoseconds kRounds = 20'000;
  ManualClock clock;
  std::array<std::atomic<Nanoseconds>, 2> seen{};
  std::vector<std::thread> threads;
  threads.reserve(seen.size());
  for (auto& mine : seen) {
    threads.emplace_back([&clock, &mine] {
      Sleeper sleeper;
      for (Nanoseconds round = 1; round <= kRounds; ++round) {
        sleeper.sleep(clock, round);
        mine = round;
      }
    });
  }
  for (Nanoseconds round = 1; round <= kRounds; ++round) {
    clock.advance(1);
    for (const auto& theirs : seen) {  // a lost wake-up would hang here
      while (theirs < round) {
        std::this_thread::yield();
      }
    }
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(clock.now() == kRounds);
}

TEST_CASE("who waits on a manual clock may go while it advances") {
  ManualClock clock;
  std::atomic<bool> done = false;
  std::thread advancing([&] {
    while (!done) {
      clock.advance(1);
    }
  });
  for (int i = 0; i < 500; ++i) {
    Sleeper sleeper;  // its mutex and condition variable end with the round
    const Nanoseconds until = clock.now() + 3;
    CHECK(sleeper.sleep(clock, until) >= until);
  }
  done = true;
  advancing.join();
}

}  // namespace
}  // namespace budgetmem
