// A Core behind a mutex, with the one thread that advances it and an eventfd that tells of events.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "budgetmem/clock.hpp"
#include "budgetmem/core.hpp"

namespace budgetmem {

// An eventfd, non-blocking and close-on-exec. Raises std::system_error where there is none.
class Wakeup {
 public:
  Wakeup();
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;
  void signal() noexcept;
  void clear() noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

// Every method may be called from any thread, and waits for nothing but the mutex, except close(),
// which joins the thread. A caller that changes something dispatches what may go then; the thread
// does the rest, and keeps the time.
class Scheduler {
 public:
  explicit Scheduler(Plan plan, std::shared_ptr<Clock> clock = std::make_shared<SteadyClock>());
  ~Scheduler();  // closes
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void submit(std::span<const Item> items, std::span<ItemId> ids, std::span<Admission> answers);
  void first_token(std::span<const ItemId> ids);
  std::size_t finish(std::span<const ItemId> ids, bool ok);  // how many were in flight
  std::size_t cancel(std::span<const ItemId> ids);           // how many waited
  void set_credits(std::uint32_t backbone, std::uint32_t credits);

  // The events since the last poll, in order. The descriptor is readable while there are some; it
  // is signalled once for all that come before a poll.
  [[nodiscard]] std::vector<Event> poll();
  [[nodiscard]] int fileno() const noexcept { return wakeup_.fd(); }

  // Admits nothing from now on, tells what waits (`closed` events), and ends the thread. Finish
  // and poll still work. May be called twice.
  void close();

  [[nodiscard]] Nanoseconds now() const { return clock_->now(); }
  [[nodiscard]] std::vector<QueueStats> queue_stats() const;
  [[nodiscard]] std::vector<BackboneStats> backbone_stats() const;

 private:
  // Locks the mutex. Whoever waits for it holds `turn_`, so the thread, when it gives the mutex
  // back between two parts of its work, does not get it again before a caller that waits.
  [[nodiscard]] std::unique_lock<std::mutex> enter() const;
  void run();
  void tell(bool was_empty);  // signals if events came into an outbox that was empty
  bool advance();             // true if there is more to do at this time
  void proceed();             // advances, and wakes the thread for what is left

  std::shared_ptr<Clock> clock_;
  mutable std::mutex turn_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Core core_;
  std::vector<Event> outbox_;
  Nanoseconds alarm_ = kNever;  // until when the thread sleeps
  bool stopping_ = false;
  Wakeup wakeup_;
  std::mutex closing_;
  std::thread thread_;
};

}  // namespace budgetmem
