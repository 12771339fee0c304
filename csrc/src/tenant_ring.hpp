// The ring in which the tenants of a backbone take turns.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "record.hpp"
#include "slots.hpp"
#include "tenant_line.hpp"

namespace budgetmem {

class TenantRing {
 public:
  void join(std::uint32_t line, Pool<TenantLine>& lines) {  // at the back
    TenantLine& joining = lines[line];
    joining.deficit = 0;
    joining.in_ring = true;
    joining.saving = false;
    if (size_ == 0) {
      begin_turn();
    }
    append(line, lines);
  }

  // While nothing is dispatched nobody is looked at, and those whose work was cancelled stay:
  // whether they are to be swept out, before another joins. O(1) for each that joins.
  [[nodiscard]] bool overgrown() const noexcept { return size_ >= sweep_at_; }

  // Those with nothing in line leave. `gone` is told of each.
  template <typename Gone>
  void sweep(Pool<TenantLine>& lines, Gone gone) {
    const std::uint32_t first = front_;
    front_ = kNone;
    size_ = 0;
    for (std::uint32_t line = first; line != kNone;) {
      const std::uint32_t next = lines[line].next;
      if (lines[line].has_line()) {
        append(line, lines);
      } else {
        lines[line].in_ring = false;
        gone(line);
      }
      line = next;
    }
    if (front_ != first) {
      begin_turn();
    }
    sweep_at_ = std::max(kSlack, 2 * size_);
  }

  void leave(Pool<TenantLine>& lines) {  // the front
    TenantLine& leaving = lines[front_];
    leaving.in_ring = false;
    front_ = leaving.next;
    --size_;
    begin_turn();
  }

  void end_turn(Pool<TenantLine>& lines) {  // the front goes to the back
    lines[front_].saving = !seeded_;
    lines[back_].next = front_;
    back_ = front_;
    front_ = lines[back_].next;
    lines[back_].next = kNone;
    begin_turn();
  }

  void seed(Pool<TenantLine>& lines) {  // the front does
    lines[front_].saving = false;
    seeded_ = true;
  }

  // Whether this turn has not had its quantum; from now on it has.
  [[nodiscard]] bool grant() noexcept {
    const bool due = !granted_;
    granted_ = true;
    return due;
  }

  [[nodiscard]] std::uint32_t front() const noexcept { return front_; }  // kNone if empty
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t kSlack = 64;  // small rings are not worth it

  void append(std::uint32_t line, Pool<TenantLine>& lines) {
    lines[line].next = kNone;
    if (size_ == 0) {
      front_ = line;
    } else {
      lines[back_].next = line;
    }
    back_ = line;
    ++size_;
  }
  void begin_turn() noexcept { granted_ = seeded_ = false; }

  std::uint32_t front_ = kNone;
  std::uint32_t back_ = kNone;
  std::size_t size_ = 0;
  std::size_t sweep_at_ = kSlack;
  bool granted_ = false;  // in this turn
  bool seeded_ = false;   // in this turn
};

}  // namespace budgetmem
