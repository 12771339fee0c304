#include "device.hpp"

#include <algorithm>

#include "arithmetic.hpp"

namespace budgetmem {

Lane* Device::next(Nanoseconds now) {
  Lane* const holder = lanes_[holder_];
  if (lanes_.size() == 1 || !others_wait()) {
    challenged_ = kNever;
    return holder->can_dispatch() ? holder : nullptr;
  }
  challenged_ = std::min(challenged_, now);
  if (holder->can_dispatch() && now < saturating_add(challenged_, turn_)) {
    return holder;
  }
  if (holder->busy() && now < next_turn()) {
    return nullptr;
  }
  do {
    holder_ = after(holder_);
  } while (!lanes_[holder_]->can_dispatch());
  challenged_ = kNever;
  return lanes_[holder_];
}

Nanoseconds Device::next_turn() const noexcept {
  return saturating_add(saturating_add(challenged_, turn_), turn_);
}

bool Device::others_wait() const {
  for (std::size_t place = after(holder_); place != holder_; place = after(place)) {
    if (lanes_[place]->can_dispatch()) {
      return true;
    }
  }
  return false;
}

}  // namespace budgetmem
