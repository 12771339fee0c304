#include <doctest/doctest.h>

#include "budgetmem/histogram.hpp"

namespace budgetmem {
namespace {

TEST_CASE("small values have a bucket each") {
  for (Nanoseconds value = 0; value < 8; ++value) {
    CHECK(Histogram::bucket_of(value) == static_cast<std::size_t>(value));
  }
  CHECK(Histogram::bucket_of(-5) == 0);
}

TEST_CASE("buckets of known values") {
  CHECK(Histogram::bucket_of(8) == 8);
  CHECK(Histogram::bucket_of(15) == 15);
  CHECK(Histogram::bucket_of(16) == 16);
  CHECK(Histogram::bucket_of(17) == 16);
  CHECK(Histogram::bucket_of(18) == 17);
  CHECK(Histogram::bucket_of(1'000'000) == 143);  // e = 19, and the bits after its first are 111
}

TEST_CASE("eight buckets to every power of two, without gaps") {
  std::size_t bucket = 7;
  for (int exponent = 3; exponent < 63; ++exponent) {
    const Nanoseconds width = Nanoseconds{1} << (exponent - 3);
    for (Nanoseconds step = 8; step < 16; ++step) {
      ++bucket;
      REQUIRE(Histogram::bucket_of(step * width) == bucket);
      REQUIRE(Histogram::bucket_of(step * width + (width - 1)) == bucket);
    }
  }
}

TEST_CASE("the largest value has the last bucket") {
  CHECK(Histogram::bucket_of(kNever) == Histogram::kBuckets - 1);
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

}  // namespace
}  // namespace budgetmem
