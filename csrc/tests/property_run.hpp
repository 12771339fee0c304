// A Core at work on operations that are drawn one by one, held against the model.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "property_model.hpp"

namespace budgetmem::testing {

// A number from 0 to bound - 1.
using Draw = std::function<std::uint64_t(std::uint64_t bound)>;

// Raises Violation at the first rule that is broken.
class Run {
 public:
  explicit Run(Draw below);

  void operate();                                         // the next operation
  void flood(std::uint64_t by) noexcept { flood_ = by; }  // 0 to 2: how much is submitted
  void check();                                           // advances, and compares all there is
  void drain();                                           // ends what can be ended
  void end();                                             // closes, and sees that nothing is left

 private:
  ItemId draw(const IdBag& bag);
  Item item();
  void submit();
  void finish(ItemId id, bool ok);
  void cancel(ItemId id);
  void first_token();
  void set_credits();
  void advance();

  Draw below_;
  Core core_;
  Model model_;
  Nanoseconds now_ = 0;
  std::uint64_t flood_ = 0;
  ItemId last_ended_ = 0;
  std::vector<Item> items_;
  std::vector<ItemId> ids_;
  std::vector<Admission> answers_;
  std::vector<Event> events_;
};

}  // namespace budgetmem::testing
