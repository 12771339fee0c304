#include "budgetmem/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

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

Nanoseconds Histogram::upper_bound(std::size_t bucket) {
  if (bucket >= kBuckets) {
    throw InvalidArgument("bucket", "is not a bucket");
  }
  if (bucket < kSteps) {
    return static_cast<Nanoseconds>(bucket);
  }
  const std::uint64_t beyond = kSteps + 1 + (bucket % kSteps);
  return static_cast<Nanoseconds>((beyond << ((bucket / kSteps) - 1)) - 1);
}

void Histogram::record(Nanoseconds value) noexcept {
  ++buckets_[bucket_of(value)];
  ++count_;
  sum_ += static_cast<std::uint64_t>(std::max<Nanoseconds>(value, 0));
}

Nanoseconds Histogram::quantile(double q) const {
  if (std::isnan(q) || q < 0.0 || q > 1.0) {
    throw InvalidArgument("q", "must be between 0 and 1");
  }
  if (count_ == 0) {
    return 0;
  }
  const auto rank = std::clamp<std::uint64_t>(
      static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_))), 1, count_);
  std::size_t bucket = 0;
  for (std::uint64_t passed = buckets_[0]; passed < rank; passed += buckets_[bucket]) {
    ++bucket;
  }
  return upper_bound(bucket);
}

}  // namespace budgetmem
