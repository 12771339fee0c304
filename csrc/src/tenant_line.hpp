// The waiting items of one tenant at one backbone, by urgency within their length bucket.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "lazy_heap.hpp"
#include "record.hpp"

namespace budgetmem {

// Buckets by the bit length of the tokens, 1 to bit_width(kMaxTokens); bucket 0 for backbones that
// do not pad.
class TenantLine {
 public:
  // Makes the line that of a tenant for whom nothing waits.
  void open(std::uint32_t tenant, std::uint32_t queues, bool pads) {
    tenant_ = tenant;
    deficit = 0;
    next = kNone;
    in_ring = false;
    saving = false;
    waiting_ = 0;
    in_line_ = 0;
    waiting_of_queue_.assign(queues, 0);
    buckets_.resize(pads ? std::bit_width(kMaxTokens) + 1U : 1U);
    for (Bucket& bucket : buckets_) {
      bucket.heap.clear();
      bucket.count = 0;
    }
  }

  // An item that waits, in line or held, is counted from admission until it is let go.
  void count(std::uint32_t place) {
    ++waiting_;
    ++waiting_of_queue_[place];
  }
  void let_go(std::uint32_t place) {
    --waiting_;
    --waiting_of_queue_[place];
  }

  void enter(ItemId id, const Record& record) {
    Bucket& bucket = buckets_[bucket_of(record.tokens)];
    bucket.heap.push({record.urgency, record.sequence, id});
    ++bucket.count;
    ++in_line_;
  }

  // An item that was in line, and is no more: its entry is a tombstone.
  void leave(const Record& record, Records& records) {
    Bucket& bucket = buckets_[bucket_of(record.tokens)];
    --bucket.count;
    --in_line_;
    bucket.heap.sweep(bucket.count, InLine{&records});
  }

  // The most urgent item in line of a bucket, or of all; null if there is none.
  [[nodiscard]] const Entry* most_urgent(std::uint32_t bucket, Records& records) {
    return buckets_[bucket].count == 0 ? nullptr : buckets_[bucket].heap.top(InLine{&records});
  }
  [[nodiscard]] const Entry* most_urgent(Records& records) {
    const Entry* first = nullptr;
    for (std::uint32_t bucket = 0; in_line_ > 0 && bucket < buckets_.size(); ++bucket) {
      const Entry* const entry = most_urgent(bucket, records);
      if (entry != nullptr && (first == nullptr || *entry < *first)) {
        first = entry;
      }
    }
    return first;
  }

  [[nodiscard]] std::uint32_t bucket_of(std::uint32_t tokens) const noexcept {
    return buckets_.size() == 1 ? 0U : static_cast<std::uint32_t>(std::bit_width(tokens));
  }
  [[nodiscard]] bool has_line() const noexcept { return in_line_ > 0; }
  [[nodiscard]] std::uint32_t tenant() const noexcept { return tenant_; }
  [[nodiscard]] std::uint32_t waiting() const noexcept { return waiting_; }
  [[nodiscard]] std::uint32_t waiting(std::uint32_t place) const noexcept {
    return waiting_of_queue_[place];
  }

  // Kept by the ring.
  std::int64_t deficit = 0;  // tokens
  std::uint32_t next = kNone;
  bool in_ring = false;
  bool saving = false;  // since a turn that covered no item, until one does

 private:
  struct Bucket {
    LazyHeap<Entry> heap;
    std::uint32_t count = 0;  // of those that live
  };

  std::uint32_t tenant_ = 0;
  std::uint32_t waiting_ = 0;
  std::uint32_t in_line_ = 0;
  std::vector<std::uint32_t> waiting_of_queue_;
  std::vector<Bucket> buckets_;
};

}  // namespace budgetmem
