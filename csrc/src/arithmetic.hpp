// Times that do not wrap: what would pass an end of the range is that end.
#pragma once

#include <limits>

#include "budgetmem/types.hpp"

namespace budgetmem {

// `addend` and `subtrahend` are not negative.
inline Nanoseconds saturating_add(Nanoseconds value, Nanoseconds addend) noexcept {
  Nanoseconds sum = 0;
  return __builtin_add_overflow(value, addend, &sum) ? kNever : sum;
}

inline Nanoseconds saturating_subtract(Nanoseconds value, Nanoseconds subtrahend) noexcept {
  Nanoseconds difference = 0;
  return __builtin_sub_overflow(value, subtrahend, &difference)
             ? std::numeric_limits<Nanoseconds>::min()
             : difference;
}

// From `since` to `now`: negative if time went back.
inline Nanoseconds elapsed(Nanoseconds since, Nanoseconds now) noexcept {
  Nanoseconds passed = 0;
  if (!__builtin_sub_overflow(now, since, &passed)) {
    return passed;
  }
  return now > since ? kNever : std::numeric_limits<Nanoseconds>::min();
}

// The least time that a call of so many tokens takes.
inline Nanoseconds least_time(const Backbone& backbone, std::uint32_t tokens) noexcept {
  Nanoseconds reading = 0;
  return __builtin_mul_overflow(backbone.per_token, static_cast<Nanoseconds>(tokens), &reading)
             ? kNever
             : saturating_add(backbone.fixed, reading);
}

// The last time at which an item may still be dispatched; kNever for one without a deadline.
inline Nanoseconds drop_time(const Backbone& backbone, const Item& item) noexcept {
  return item.deadline == kNever
             ? kNever
             : saturating_subtract(item.deadline, least_time(backbone, item.tokens));
}

}  // namespace budgetmem
