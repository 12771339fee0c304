#include "budgetmem/decisions.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "require.hpp"

namespace budgetmem {

DecisionBatch::DecisionBatch(std::size_t capacity, std::size_t width) : width_(width) {
  features_.reserve(capacity * width);
  masks_.reserve(capacity);
}

std::span<float> DecisionBatch::features() noexcept { return features_; }

std::span<const std::uint8_t> DecisionBatch::masks() const noexcept { return masks_; }

struct DecisionBuffer::Spare {
  std::mutex mutex;
  std::unique_ptr<DecisionBatch> batch;

  void put(std::unique_ptr<DecisionBatch> back) noexcept {
    const std::lock_guard hold(mutex);
    batch = std::move(back);
  }

  std::unique_ptr<DecisionBatch> get() noexcept {
    const std::lock_guard hold(mutex);
    return std::move(batch);
  }
};

DecisionBuffer::DecisionBuffer(std::size_t width, std::size_t capacity)
    : width_(width), capacity_(capacity), spare_(std::make_shared<Spare>()) {
  require(width > 0, "width", "must be at least 1");
  require(capacity > 0, "capacity", "must be at least 1");
  require(width <= kMaxBatch && capacity <= kMaxBatch / width, "capacity",
          "is too large for the width");
}

bool DecisionBuffer::add(std::span<const float> rows, std::span<const std::uint8_t> masks) {
  require(rows.size() % width_ == 0, "rows", "must be as wide as the buffer");
  require(rows.size() / width_ == masks.size(), "masks", "must be one a row");
  require_rows(
      rows, width_, [](float value) { return std::isfinite(value); }, "rows", "must be finite");
  const std::lock_guard hold(mutex_);
  if (masks.size() > capacity_ - (open_ == nullptr ? 0 : open_->size())) {
    return false;
  }
  if (masks.empty()) {
    return true;
  }
  if (open_ == nullptr) {
    open_ = spare_->get();
  }
  if (open_ == nullptr) {
    open_ = std::make_unique<DecisionBatch>(capacity_, width_);
  }
  open_->features_.insert(open_->features_.end(), rows.begin(), rows.end());
  open_->masks_.insert(open_->masks_.end(), masks.begin(), masks.end());
  return true;
}

std::shared_ptr<DecisionBatch> DecisionBuffer::take() {
  const std::lock_guard hold(mutex_);
  if (open_ == nullptr) {
    return nullptr;
  }
  return {open_.release(), [spare = spare_](DecisionBatch* batch) {
            batch->features_.clear();
            batch->masks_.clear();
            spare->put(std::unique_ptr<DecisionBatch>(batch));
          }};
}

std::size_t DecisionBuffer::waiting() const {
  const std::lock_guard hold(mutex_);
  return open_ == nullptr ? 0 : open_->size();
}

}  // namespace budgetmem
