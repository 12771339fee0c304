// Numbers that an input's bytes choose.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace budgetmem::fuzzing {

// Reads from the front; when the bytes are used up every number is 0.
class Bytes {
 public:
  explicit Bytes(std::span<const std::uint8_t> bytes) : left_(bytes) {}

  [[nodiscard]] bool empty() const noexcept { return left_.empty(); }

  // 0 to bound - 1, of one byte if that is enough.
  std::uint64_t below(std::uint64_t bound) { return take(bound <= 256 ? 1 : 4) % bound; }

  // 1 to `usual` as a rule, else any number of that type, often one of the ends.
  template <typename Integer>
  Integer some(std::uint64_t usual) {
    using Limits = std::numeric_limits<Integer>;
    constexpr std::array<Integer, 4> kEnds = {Limits::max(), Limits::max() - 1, Limits::min(),
                                              Limits::min() + 1};
    const std::uint64_t choice = below(16);
    if (choice == 1) {
      return static_cast<Integer>(take(sizeof(Integer)));
    }
    return choice == 2 ? kEnds.at(below(kEnds.size())) : static_cast<Integer>(1 + below(usual));
  }

 private:
  std::uint64_t take(std::size_t count) {
    std::uint64_t value = 0;
    for (; count > 0 && !left_.empty(); --count) {
      value = value << 8U | left_.front();
      left_ = left_.subspan(1);
    }
    return value;
  }

  std::span<const std::uint8_t> left_;
};

}  // namespace budgetmem::fuzzing
