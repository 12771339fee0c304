// The router's micro-batches: feature rows are gathered into one contiguous matrix, which the ONNX
// session reads where it lies; its logits become tiers under the masks of the ceilings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "budgetmem/types.hpp"

namespace budgetmem {

// Features of one micro-batch at most: its memory is taken at once.
inline constexpr std::size_t kMaxBatch = std::size_t{1} << 26U;

// One micro-batch. Rows stay where they are for as long as the batch lives.
class DecisionBatch {
 public:
  DecisionBatch(std::size_t capacity, std::size_t width);
  [[nodiscard]] std::span<float> features() noexcept;                  // [size, width], row-major
  [[nodiscard]] std::span<const std::uint8_t> masks() const noexcept;  // [size]
  [[nodiscard]] std::size_t size() const noexcept { return masks_.size(); }
  [[nodiscard]] std::size_t width() const noexcept { return width_; }

 private:
  friend class DecisionBuffer;
  std::size_t width_;
  std::vector<float> features_;
  std::vector<std::uint8_t> masks_;
};

// Gathers decisions until they are taken. Any thread; the memory of a batch is used again once
// nobody holds the batch.
class DecisionBuffer {
 public:
  // `width` floats a decision, at most `capacity` decisions a batch and waiting. Raises
  // InvalidArgument where one is 0, or their product more than kMaxBatch.
  DecisionBuffer(std::size_t width, std::size_t capacity);

  // Adds rows [n, width] with a mask each (bit t set: tier t is forbidden). False if there is no
  // room for all, and none was added. Raises InvalidArgument naming the first row that holds a NaN
  // or an infinity, or sizes that differ.
  bool add(std::span<const float> rows, std::span<const std::uint8_t> masks);

  // Everything added since the last take, in order, or null. The caller owns it.
  [[nodiscard]] std::shared_ptr<DecisionBatch> take();
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] std::size_t width() const noexcept { return width_; }

 private:
  struct Spare;  // where a batch comes back to

  std::size_t width_;
  std::size_t capacity_;
  mutable std::mutex mutex_;
  std::unique_ptr<DecisionBatch> open_;  // null until something is added
  std::shared_ptr<Spare> spare_;         // shared with the batches that are out
};

// Softmax over the tiers that are not masked, and the choice: the arg max (the lower of equals),
// or, with `uniforms` in [0, 1), a sample by inversion. logits [n, tiers], masks [n]; writes
// probabilities [n, tiers] and chosen [n], whose probability is above 0. Where all tiers are masked
// tier 0 has probability 1.
// Raises InvalidArgument, having written nothing, for sizes that differ, 0 or more than 8 tiers, a
// logit that is NaN or a uniform out of range.
void choose_tiers(std::span<const float> logits, std::span<const std::uint8_t> masks,
                  std::size_t tiers, std::span<const double> uniforms,
                  std::span<float> probabilities, std::span<std::uint8_t> chosen);

}  // namespace budgetmem
