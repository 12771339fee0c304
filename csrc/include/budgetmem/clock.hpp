// Time, as the scheduler sees it: real, or held by a test.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "budgetmem/types.hpp"

namespace budgetmem {

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  [[nodiscard]] virtual Nanoseconds now() const = 0;

  // Waits on `changed` (of which `lock` holds the mutex) until it is notified or `until` has
  // come; may return early. kNever waits for a notification only.
  virtual void wait(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                    Nanoseconds until) = 0;
};

// CLOCK_MONOTONIC, the clock of Python's time.monotonic_ns().
class SteadyClock final : public Clock {
 public:
  [[nodiscard]] Nanoseconds now() const override;
  void wait(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
            Nanoseconds until) override;
};

// Stands still until it is advanced, which wakes whoever waits. Safe between threads.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Nanoseconds start = 0);
  void advance(Nanoseconds by);  // raises InvalidArgument if negative

  [[nodiscard]] Nanoseconds now() const override;
  void wait(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
            Nanoseconds until) override;

 private:
  struct Waiter {
    std::condition_variable* changed;
    std::mutex* mutex;
    Nanoseconds until;
  };
  void forget(const std::condition_variable& changed, Nanoseconds until);

  std::mutex waking_;  // held while waiters are notified: none of them leaves meanwhile
  mutable std::mutex mutex_;
  Nanoseconds now_;
  std::vector<Waiter> waiting_;
};

}  // namespace budgetmem
