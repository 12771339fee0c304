#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <thread>

#include "budgetmem/decisions.hpp"

namespace budgetmem {
namespace {

using Floats = std::vector<float>;
using Masks = std::vector<std::uint8_t>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::string field_of(const auto& call) {
  try {
    call();
  } catch (const InvalidArgument& error) {
    return error.field();
  }
  return "";
}

TEST_CASE("what is added is taken once, in order, with its masks") {
  DecisionBuffer buffer(2, 4);
  CHECK(buffer.take() == nullptr);
  CHECK(buffer.add(Floats{1, 2, 3, 4}, Masks{0, 5}));
  CHECK(buffer.add(Floats{5, 6}, Masks{7}));
  CHECK(buffer.waiting() == 3);
  const auto batch = buffer.take();
  REQUIRE(batch != nullptr);
  CHECK(batch->size() == 3);
  CHECK(batch->width() == 2);
  CHECK(std::ranges::equal(batch->features(), Floats{1, 2, 3, 4, 5, 6}));
  CHECK(std::ranges::equal(batch->masks(), Masks{0, 5, 7}));
  CHECK(buffer.waiting() == 0);
  CHECK(buffer.take() == nullptr);
}

TEST_CASE("a buffer takes all of what is added or nothing") {
  DecisionBuffer buffer(1, 3);
  CHECK(buffer.add(Floats{1, 2}, Masks{0, 0}));
  CHECK_FALSE(buffer.add(Floats{3, 4}, Masks{0, 0}));
  CHECK(buffer.waiting() == 2);
  CHECK(buffer.add(Floats{5}, Masks{0}));
  CHECK_FALSE(buffer.add(Floats{6}, Masks{0}));
  CHECK(std::ranges::equal(buffer.take()->features(), Floats{1, 2, 5}));
  CHECK_FALSE(buffer.add(Floats{1, 2, 3, 4}, Masks{0, 0, 0, 0}));
  CHECK(buffer.add(Floats{6}, Masks{0}));
}

TEST_CASE("adding nothing adds nothing") {
  DecisionBuffer buffer(1, 1);
  CHECK(buffer.add({}, {}));
  CHECK(buffer.take() == nullptr);
}

TEST_CASE("rows stay while their batch lives, and are reused after") {
  DecisionBuffer buffer(1, 8);
  buffer.add(Floats{1}, Masks{0});
  auto batch = buffer.take();
  const float* const where = batch->features().data();
  buffer.add(Floats{2, 3}, Masks{0, 0});
  const auto other = buffer.take();
  CHECK(other->features().data() != where);
  CHECK(batch->features().data() == where);
  CHECK(batch->features()[0] == 1);
  batch.reset();
  buffer.add(Floats{4}, Masks{5});
  const auto again = buffer.take();
  CHECK(again->features().data() == where);
  CHECK(again->size() == 1);
  CHECK(std::ranges::equal(again->features(), Floats{4}));
  CHECK(std::ranges::equal(again->masks(), Masks{5}));
}

TEST_CASE("a batch outlives its buffer") {
  std::shared_ptr<DecisionBatch> batch;
  {
    DecisionBuffer buffer(1, 1);
    buffer.add(Floats{9}, Masks{0});
    batch = buffer.take();
  }
  CHECK(batch->features()[0] == 9);
}

TEST_CASE("bad rows and sizes are named, and nothing is added") {
  DecisionBuffer buffer(2, 4);
  CHECK(field_of([&] { buffer.add(Floats{1, 2, 3, kNan}, Masks{0, 0}); }) == "rows[1]");
  CHECK(field_of([&] { buffer.add(Floats{1, -kInf, kNan, 0}, Masks{0, 0}); }) == "rows[0]");
  CHECK(field_of([&] { buffer.add(Floats{1, 2, 3}, Masks{0}); }) == "rows");
  CHECK(field_of([&] { buffer.add(Floats{1, 2}, Masks{0, 0}); }) == "masks");
  CHECK(buffer.waiting() == 0);
  CHECK(buffer.add(Floats{1, 2}, Masks{0}));
  CHECK(field_of([] { DecisionBuffer(0, 1); }) == "width");
  CHECK(field_of([] { DecisionBuffer(1, 0); }) == "capacity");
}

TEST_CASE("a buffer that no memory can hold is refused at once") {
  constexpr std::size_t kLargest = std::numeric_limits<std::size_t>::max();
  CHECK(field_of([] { DecisionBuffer(1, kMaxBatch); }).empty());
  CHECK(field_of([] { DecisionBuffer(1, kMaxBatch + 1); }) == "capacity");
  CHECK(field_of([] { DecisionBuffer(2, kMaxBatch); }) == "capacity");
  CHECK(field_of([] { DecisionBuffer(kLargest, 1); }) == "capacity");
  CHECK(field_of([] { DecisionBuffer(kLargest, kLargest); }) == "capacity");
}

TEST_CASE("threads add and take; nothing is lost and nothing comes twice") {
  constexpr std::size_t kEach = 2000;
  DecisionBuffer buffer(1, 64);
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (std::size_t t = 0; t < 3; ++t) {
    threads.emplace_back([&buffer, first = t * kEach] {
      for (std::size_t i = 0; i < kEach; ++i) {
        while (!buffer.add(Floats{static_cast<float>(first + i)}, Masks{0})) {
          std::this_thread::yield();
        }
      }
    });
  }
  std::vector<float> taken;
  while (taken.size() < 3 * kEach) {
    const auto batch = buffer.take();
    if (batch == nullptr) {
      std::this_thread::yield();
      continue;
    }
    taken.insert(taken.end(), batch->features().begin(), batch->features().end());
  }
  std::ranges::sort(taken);
  std::vector<float> added(3 * kEach);
  std::iota(added.begin(), added.end(), 0.0F);
  CHECK(taken == added);
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace
}  // namespace budgetmem
