// The waiting items that have a deadline, by the time at which they are dropped.
#pragma once

#include <cstddef>

#include "lazy_heap.hpp"
#include "record.hpp"

namespace budgetmem {

class Deadlines {
 public:
  explicit Deadlines(Records& records) : waits_{&records} {}  // which outlive this

  void add(ItemId id, const Record& record) {
    if (record.drop_time != kNever) {
      heap_.push({record.drop_time, record.sequence, id});
      ++waiting_;
    }
  }

  // An item that was added does not wait any more, as the records already tell.
  void remove(const Record& record) {
    if (record.drop_time != kNever) {
      --waiting_;
      heap_.sweep(waiting_, waits_);
    }
  }

  // The first that is too late at `now`, or 0.
  [[nodiscard]] ItemId overdue(Nanoseconds now) {
    const Entry* const first = heap_.top(waits_);
    return first != nullptr && first->key < now ? first->id : 0;
  }

  // When the first will be too late; kNever if none will.
  [[nodiscard]] Nanoseconds next() {
    const Entry* const first = heap_.top(waits_);
    return first == nullptr ? kNever : first->key + 1;
  }

 private:
  Waits waits_;
  LazyHeap<Entry> heap_;
  std::size_t waiting_ = 0;
};

}  // namespace budgetmem
