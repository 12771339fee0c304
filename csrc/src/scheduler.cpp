#include "budgetmem/scheduler.hpp"

#include <algorithm>
#include <utility>

namespace budgetmem {
namespace {

// Of one advance, which is the thread's hold of the mutex: nobody waits for it longer than it takes
// to make about so many. A caller's array, and all that close() ends, are one hold, however long.
constexpr std::size_t kEventsPerHold = 256;

}  // namespace

Scheduler::Scheduler(Plan plan, std::shared_ptr<Clock> clock)
    : clock_(std::move(clock)), core_(std::move(plan)) {
  if (clock_ == nullptr) {
    throw InvalidArgument("clock", "must not be null");
  }
  thread_ = std::thread(&Scheduler::run, this);
}

Scheduler::~Scheduler() { close(); }

void Scheduler::submit(std::span<const Item> items, std::span<ItemId> ids,
                       std::span<Admission> answers) {
  const auto lock = enter();
  core_.submit(items, clock_->now(), ids, answers);
  if (std::ranges::find(answers, Admission::accepted) != answers.end()) {
    proceed();
  }
}

void Scheduler::first_token(std::span<const ItemId> ids) {
  const auto lock = enter();
  for (const ItemId id : ids) {
    core_.first_token(id);
  }
  if (!ids.empty()) {
    proceed();
  }
}

std::size_t Scheduler::finish(std::span<const ItemId> ids, bool ok) {
  const auto lock = enter();
  const Nanoseconds now = clock_->now();
  const auto finished =
      std::ranges::count_if(ids, [&](ItemId id) { return core_.finish(id, ok, now); });
  if (finished > 0) {
    proceed();
  }
  return static_cast<std::size_t>(finished);
}

// An item less gives nobody anything to do.
std::size_t Scheduler::cancel(std::span<const ItemId> ids) {
  const auto lock = enter();
  const auto cancelled = std::ranges::count_if(ids, [&](ItemId id) { return core_.cancel(id); });
  return static_cast<std::size_t>(cancelled);
}

void Scheduler::set_credits(std::uint32_t backbone, std::uint32_t credits) {
  const auto lock = enter();
  core_.set_credits(backbone, credits);
  proceed();
}

std::vector<Event> Scheduler::poll() {
  std::vector<Event> events;
  const auto lock = enter();
  events.swap(outbox_);
  if (!events.empty()) {
    wakeup_.clear();
  }
  return events;
}

void Scheduler::close() {
  const std::lock_guard closing(closing_);
  {
    const auto lock = enter();
    if (!core_.closed()) {
      const bool was_empty = outbox_.empty();
      core_.close(outbox_);
      tell(was_empty);
    }
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

std::vector<QueueStats> Scheduler::queue_stats() const {
  const auto lock = enter();
  return core_.queue_stats();
}

std::vector<BackboneStats> Scheduler::backbone_stats() const {
  const auto lock = enter();
  return core_.backbone_stats();
}

std::unique_lock<std::mutex> Scheduler::enter() const {
  const std::lock_guard turn(turn_);
  return std::unique_lock(mutex_);
}

void Scheduler::tell(bool was_empty) {
  if (was_empty && !outbox_.empty()) {
    wakeup_.signal();
  }
}

bool Scheduler::advance() {
  const bool was_empty = outbox_.empty();
  const bool more = core_.advance(clock_->now(), outbox_, kEventsPerHold);
  tell(was_empty);
  return more;
}

// Whoever changes the core advances it too: what may go then goes without waking anybody.
void Scheduler::proceed() {
  if (advance() || core_.next_timer() < alarm_) {
    wake_.notify_one();
  }
}

// The thread keeps the time, and does what is too much for one caller. From advance() to the wait
// the mutex is held, so no notification comes between them.
void Scheduler::run() {
  auto lock = enter();
  while (!stopping_) {
    if (advance()) {
      lock.unlock();
      lock = enter();  // behind the callers that wait
    } else {
      alarm_ = core_.next_timer();
      clock_->wait(wake_, lock, alarm_);
    }
  }
}

}  // namespace budgetmem
