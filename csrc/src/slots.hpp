// Storage that is used again. A SlotMap gives ids that are not; a Pool gives bare indices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "budgetmem/types.hpp"

namespace budgetmem {

// Values by id, `generation << 32 | slot`, in O(1). The generation of a slot is odd while a value
// is in it, so the id of a value that is gone, or of none, is found not to be there. A slot whose
// generations are used up is not used again.
template <typename Value>
class SlotMap {
 public:
  ItemId insert(Value value) {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = slots_[index];
    ++slot.generation;
    slot.value = std::move(value);
    return ItemId{slot.generation} << 32U | index;
  }

  void erase(ItemId id) {  // of a value that is there
    const std::uint32_t index = index_of(id);
    if (++slots_[index].generation != kLastGeneration) {
      free_.push_back(index);
    }
  }

  [[nodiscard]] Value* find(ItemId id) noexcept {
    const std::uint32_t index = index_of(id);
    const auto generation = static_cast<std::uint32_t>(id >> 32U);
    const bool there =
        index < slots_.size() && (generation & 1U) != 0 && slots_[index].generation == generation;
    return there ? &slots_[index].value : nullptr;
  }

  // The value of an id that is there.
  [[nodiscard]] Value& operator[](ItemId id) noexcept { return slots_[index_of(id)].value; }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (std::size_t index = 0; index < slots_.size(); ++index) {
      const Slot& slot = slots_[index];
      if ((slot.generation & 1U) != 0) {
        visit(ItemId{slot.generation} << 32U | index, slot.value);
      }
    }
  }

 private:
  struct Slot {
    Value value{};
    std::uint32_t generation = 0;
  };
  // The last even number: there is no odd one after it that the next use could have.
  static constexpr std::uint32_t kLastGeneration = std::numeric_limits<std::uint32_t>::max() - 1;

  static std::uint32_t index_of(ItemId id) noexcept { return static_cast<std::uint32_t>(id); }

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

// Values by index. Given back as they are, so that the vectors inside keep their memory; whoever
// takes one resets it.
template <typename Value>
class Pool {
 public:
  std::uint32_t take() {
    if (free_.empty()) {
      values_.emplace_back();
      return static_cast<std::uint32_t>(values_.size() - 1);
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    return index;
  }
  void give_back(std::uint32_t index) { free_.push_back(index); }

  [[nodiscard]] Value& operator[](std::uint32_t index) noexcept { return values_[index]; }
  [[nodiscard]] const Value& operator[](std::uint32_t index) const noexcept {
    return values_[index];
  }

 private:
  std::vector<Value> values_;
  std::vector<std::uint32_t> free_;
};

}  // namespace budgetmem
