// The router's micro-batches, and the choice of tiers: any rows, masks, logits and samples.
#include "budgetmem/decisions.hpp"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include "bytes.hpp"

namespace budgetmem::fuzzing {
namespace {

constexpr std::size_t kMostRows = 6;

void expect(bool holds, const char* rule) {
  if (!holds) {
    throw std::logic_error(rule);
  }
}

// Any bits: NaNs and infinities too.
template <typename Float, typename Bits>
std::vector<Float> floats(Bytes& bytes, std::size_t count) {
  std::vector<Float> values(count);
  for (Float& value : values) {
    value = bytes.below(8) == 1 ? std::bit_cast<Float>(bytes.some<Bits>(1))
                                : static_cast<Float>(bytes.below(256)) / 256;
  }
  return values;
}

std::vector<std::uint8_t> masks(Bytes& bytes, std::size_t count) {
  std::vector<std::uint8_t> values(count);
  for (std::uint8_t& value : values) {
    value = bytes.some<std::uint8_t>(8);
  }
  return values;
}

void choose(Bytes& bytes) {
  const std::size_t rows = bytes.below(kMostRows);
  const std::size_t tiers = bytes.below(10);
  const auto logits = floats<float, std::uint32_t>(bytes, rows * tiers);
  const auto forbidden = masks(bytes, rows);
  const auto uniforms = floats<double, std::uint64_t>(bytes, bytes.below(2) * rows);
  std::vector<float> chances(logits.size());
  std::vector<std::uint8_t> chosen(rows);
  choose_tiers(logits, forbidden, tiers, uniforms, chances, chosen);
  for (std::size_t row = 0; row < rows; ++row) {
    float sum = 0.0F;
    for (std::size_t tier = 0; tier < tiers; ++tier) {
      sum += chances[row * tiers + tier];
    }
    expect(std::abs(sum - 1.0F) < 1e-4F, "chances add up to 1");
    expect(chosen[row] < tiers && chances[row * tiers + chosen[row]] > 0.0F,
           "what is chosen had a chance");
  }
}

void add(DecisionBuffer& buffer, Bytes& bytes) {
  const std::size_t before = buffer.waiting();
  const std::size_t rows = bytes.below(kMostRows);
  const auto given = floats<float, std::uint32_t>(bytes, rows * buffer.width());
  const bool added = buffer.add(given, masks(bytes, rows + bytes.below(16) / 15));
  expect(buffer.waiting() == before + (added ? rows : 0), "all are added, or none");
}

void check(DecisionBatch& batch) {
  expect(batch.features().size() == batch.size() * batch.width(), "a row for every decision");
  expect(batch.masks().size() == batch.size(), "a mask for every decision");
  for (float& value : batch.features()) {
    expect(std::isfinite(value), "features are finite");
    value = 1.0F;
  }
}

void operate(DecisionBuffer& buffer, std::shared_ptr<DecisionBatch>& held, Bytes& bytes) {
  switch (bytes.below(4)) {
    case 0:
      return choose(bytes);
    case 1:
      held = buffer.take();
      return;
    default:
      return add(buffer, bytes);
  }
}

void run(Bytes& bytes) {
  DecisionBuffer buffer(bytes.below(5), bytes.some<std::uint64_t>(12));
  std::shared_ptr<DecisionBatch> held;
  while (!bytes.empty()) {
    try {
      operate(buffer, held, bytes);
    } catch (const InvalidArgument&) {  // refused, with nothing changed
    }
    if (held != nullptr) {
      check(*held);
    }
  }
}

}  // namespace
}  // namespace budgetmem::fuzzing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  budgetmem::fuzzing::Bytes bytes({data, size});
  try {
    budgetmem::fuzzing::run(bytes);
  } catch (const budgetmem::InvalidArgument&) {  // a buffer that cannot be
  }
  return 0;
}
