#include "budgetmem/histogram.hpp"

#include <algorithm>
#include <bit>

namespace budgetmem {
namespace {

constexpr std::size_t kSteps = 8;  // buckets of one power of two
constexpr std::size_t kStepBits = 3;

}  // namespace

std::size_t Histogram::bucket_of(Nanoseconds value) noexcept {
  const auto bits = static_cast<std::uint64_t>(std::max<Nanoseconds>(value, 0));
  if (bits < kSteps) {
    return bits;
  }
  const auto exponent = static_cast<std::size_t>(std::bit_width(bits)) - 1;
  const std::uint64_t step = (bits >> (exponent - kStepBits)) % kSteps;
  return ((exponent - kStepBits + 1) * kSteps) + step;
}

void Histogram::record(Nanoseconds value) noexcept {
  ++buckets_[bucket_of(value)];
  ++count_;
  sum_ += static_cast<std::uint64_t>(std::max<Nanoseconds>(value, 0));
}

}  // namespace budgetmem
