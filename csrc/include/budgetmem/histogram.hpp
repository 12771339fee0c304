// A latency histogram of fixed size: eight buckets to every power of two, so within 12.5%.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "budgetmem/types.hpp"

namespace budgetmem {

class Histogram {
 public:
  static constexpr std::size_t kBuckets = std::size_t{8} * 61;

  // Values below 8 have a bucket each. Above: e = bit width - 1, bucket (e - 2) * 8 + the three
  // bits that follow the leading one; its upper bound (inclusive) is ((9 + those bits) << (e - 3))
  // - 1.
  void record(Nanoseconds value) noexcept;  // a negative value counts as 0
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }  // nanoseconds
  [[nodiscard]] const std::array<std::uint64_t, kBuckets>& buckets() const noexcept {
    return buckets_;
  }

  [[nodiscard]] static std::size_t bucket_of(Nanoseconds value) noexcept;

 private:
  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
};

}  // namespace budgetmem
