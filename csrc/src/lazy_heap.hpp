// A heap out of which entries are not taken when they die, but when they are met.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace budgetmem {

// The least entry first. `living` is a predicate: whether an entry still stands for something.
template <typename Entry>
class LazyHeap {
 public:
  void push(const Entry& entry) {
    entries_.push_back(entry);
    std::push_heap(entries_.begin(), entries_.end(), later);
  }

  // The least entry that lives, or null. Dead ones before it are gone afterwards.
  template <typename Living>
  const Entry* top(Living living) {
    while (!entries_.empty() && !living(entries_.front())) {
      pop();
    }
    return entries_.empty() ? nullptr : &entries_.front();
  }

  void pop() {
    std::pop_heap(entries_.begin(), entries_.end(), later);
    entries_.pop_back();
  }

  // Throws the dead out once they outnumber the `count` that live: O(1) for each that died.
  template <typename Living>
  void sweep(std::size_t count, Living living) {
    if (size() <= 2 * count + kSlack) {
      return;
    }
    std::erase_if(entries_, [&](const Entry& entry) { return !living(entry); });
    std::make_heap(entries_.begin(), entries_.end(), later);
  }

  void clear() noexcept { entries_.clear(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }  // with the dead

 private:
  static constexpr std::size_t kSlack = 32;  // small heaps are not worth it

  static bool later(const Entry& a, const Entry& b) { return b < a; }

  std::vector<Entry> entries_;
};

}  // namespace budgetmem
