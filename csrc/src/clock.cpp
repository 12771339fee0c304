#include "budgetmem/clock.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>

namespace budgetmem {

Nanoseconds SteadyClock::now() const {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

void SteadyClock::wait(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                       Nanoseconds until) {
  if (until == kNever) {
    changed.wait(lock);
    return;
  }
  changed.wait_until(lock, std::chrono::steady_clock::time_point(std::chrono::nanoseconds(until)));
}

ManualClock::ManualClock(Nanoseconds start) : now_(start) {}

Nanoseconds ManualClock::now() const {
  const std::lock_guard hold(mutex_);
  return now_;
}

// Locks are taken in the order waking_, the waiter's, mutex_. Holding waking_ keeps the waiters
// registered, so alive. A waiter holds its own mutex from registering until it sleeps, so taking
// that mutex before notifying means that no waiter misses the notification.
void ManualClock::advance(Nanoseconds by) {
  if (by < 0) {
    throw InvalidArgument("by", "must not be negative");
  }
  const std::lock_guard waking(waking_);
  std::vector<Waiter> due;
  {
    const std::lock_guard hold(mutex_);
    now_ = now_ > 0 && by > kNever - now_ ? kNever : now_ + by;
    std::ranges::copy_if(waiting_, std::back_inserter(due),
                         [this](const Waiter& waiter) { return waiter.until <= now_; });
  }
  for (const Waiter& waiter : due) {
    const std::lock_guard hold(*waiter.mutex);
    waiter.changed->notify_all();
  }
}

void ManualClock::wait(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                       Nanoseconds until) {
  if (until == kNever) {
    changed.wait(lock);
    return;
  }
  {
    const std::lock_guard hold(mutex_);
    if (until <= now_) {
      return;
    }
    waiting_.push_back({.changed = &changed, .mutex = lock.mutex(), .until = until});
  }
  changed.wait(lock);
  lock.unlock();  // advance() may hold waking_ and want this mutex
  forget(changed, until);
  lock.lock();
}

void ManualClock::forget(const std::condition_variable& changed, Nanoseconds until) {
  const std::scoped_lock hold(waking_, mutex_);
  const auto mine = std::ranges::find_if(waiting_, [&](const Waiter& waiter) {
    return waiter.changed == &changed && waiter.until == until;
  });
  waiting_.erase(mine);
}

}  // namespace budgetmem
