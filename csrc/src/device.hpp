// A processor, and the backbones that run on it. Those of one device take turns: side by side they
// would slow each other down by more than each one's share.
#pragma once

#include <cstddef>
#include <vector>

#include "budgetmem/types.hpp"
#include "lane.hpp"

namespace budgetmem {

class Device {
 public:
  explicit Device(Nanoseconds turn) noexcept : turn_(turn) {}

  // Lanes in order of their backbones' index, of which the first has the first turn; they outlive
  // the device.
  void add(Lane& lane) { lanes_.push_back(&lane); }

  // The lane that may dispatch now, null if none. Passes the device on where that is due.
  Lane* next(Nanoseconds now);

  // When the device is passed on although nothing else happens, kNever if it is not.
  [[nodiscard]] Nanoseconds next_turn() const noexcept;

 private:
  [[nodiscard]] std::size_t after(std::size_t place) const noexcept {
    return place + 1 == lanes_.size() ? 0 : place + 1;
  }
  [[nodiscard]] bool others_wait() const;

  std::vector<Lane*> lanes_;
  Nanoseconds turn_;
  std::size_t holder_ = 0;
  Nanoseconds challenged_ = kNever;  // since when others have waited for the holder
};

}  // namespace budgetmem
