#include <doctest/doctest.h>

#include <limits>

#include "budgetmem/histogram.hpp"

namespace budgetmem {
namespace {

TEST_CASE("small values have a bucket each") {
  for (Nanoseconds value = 0; value < 8; ++value) {
    CHECK(Histogram::bucket_of(value) == static_cast<std::size_t>(value));
    CHECK(Histogram::upper_bound(static_cast<std::size_t>(value)) == value);
  }
  CHECK(Histogram::bucket_of(-5) == 0);
}

TEST_CASE("buckets of known values") {
  CHECK(Histogram::bucket_of(8) == 8);
  CHECK(Histogram::bucket_of(15) == 15);
  CHECK(Histogram::bucket_of(16) == 16);
  CHECK(Histogram::bucket_of(17) == 16);
  CHECK(Histogram::bucket_of(18) == 17);
  CHECK(Histogram::upper_bound(16) == 17);
  CHECK(Histogram::bucket_of(1'000'000) == 143);  // e = 19, and the bits after its first are 111
  CHECK(Histogram::upper_bound(143) == (Nanoseconds{1} << 20) - 1);
}

TEST_CASE("buckets follow one another without gaps and are narrow") {
  for (std::size_t bucket = 0; bucket + 1 < Histogram::kBuckets; ++bucket) {
    const Nanoseconds last = Histogram::upper_bound(bucket);
    REQUIRE(Histogram::bucket_of(last) == bucket);
    REQUIRE(Histogram::bucket_of(last + 1) == bucket + 1);
    const Nanoseconds next = Histogram::upper_bound(bucket + 1);
    REQUIRE(static_cast<double>(next - last - 1) <= 0.125 * static_cast<double>(last + 1));
  }
}

TEST_CASE("the largest value has the last bucket") {
  CHECK(Histogram::bucket_of(kNever) == Histogram::kBuckets - 1);
  CHECK(Histogram::upper_bound(Histogram::kBuckets - 1) == kNever);
  CHECK_THROWS_AS(static_cast<void>(Histogram::upper_bound(Histogram::kBuckets)), InvalidArgument);
}

TEST_CASE("values are counted and summed") {
  Histogram histogram;
  histogram.record(3);
  histogram.record(3);
  histogram.record(100);
  histogram.record(-7);
  CHECK(histogram.count() == 4);
  CHECK(histogram.sum() == 106);
  CHECK(histogram.buckets()[3] == 2);
  CHECK(histogram.buckets()[0] == 1);
  CHECK(histogram.buckets()[Histogram::bucket_of(100)] == 1);
}

TEST_CASE("quantiles are the upper bounds of their buckets") {
  Histogram histogram;
  CHECK(histogram.quantile(0.5) == 0);
  for (Nanoseconds value = 1; value <= 100; ++value) {
    histogram.record(value);
  }
  CHECK(histogram.quantile(0.0) == 1);
  CHECK(histogram.quantile(0.05) == 5);
  CHECK(histogram.quantile(0.5) == 51);   // 50 lies in [48, 51]
  CHECK(histogram.quantile(1.0) == 103);  // 100 lies in [96, 103]
}

TEST_CASE("a quantile is between 0 and 1") {
  const Histogram histogram;
  for (const double q : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS_AS(static_cast<void>(histogram.quantile(q)), InvalidArgument);
  }
}

}  // namespace
}  // namespace budgetmem
