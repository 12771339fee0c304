// What the core knows of a live item.
#pragma once

#include <cstdint>

#include "budgetmem/types.hpp"
#include "slots.hpp"

namespace budgetmem {

inline constexpr std::uint32_t kNone = 0xffffffffU;  // no index

enum class Stage : std::uint8_t { in_line, held, in_flight };

struct Record {
  std::uint64_t sequence = 0;  // of admission
  Nanoseconds urgency = 0;     // less goes first
  Nanoseconds drop_time = kNever;
  Nanoseconds since = 0;  // when it was admitted; in flight, when it was dispatched
  std::uint32_t queue = 0;
  std::uint32_t place = 0;  // of the queue among those of its backbone
  std::uint32_t tokens = 0;
  std::uint32_t line = kNone;      // of its tenant, while it waits
  std::uint32_t group = kNone;     // index into the backbone's groups
  std::uint32_t dispatch = kNone;  // while it is in flight
  Stage stage = Stage::in_line;
};

using Records = SlotMap<Record>;

// An entry of a heap: the least `key` first, and in order of admission where that is equal.
struct Entry {
  Nanoseconds key;
  std::uint64_t sequence;
  ItemId id;

  friend bool operator<(const Entry& a, const Entry& b) noexcept {
    return a.key != b.key ? a.key < b.key : a.sequence < b.sequence;
  }
};

// Predicates: whether the item of an entry is in line; whether it waits, in line or held.
struct InLine {
  Records* records;
  bool operator()(const Entry& entry) const noexcept {
    const Record* const record = records->find(entry.id);
    return record != nullptr && record->stage == Stage::in_line;
  }
};
struct Waits {
  Records* records;
  bool operator()(const Entry& entry) const noexcept {
    const Record* const record = records->find(entry.id);
    return record != nullptr && record->stage != Stage::in_flight;
  }
};

}  // namespace budgetmem
