// The plain values that cross into the scheduler. Prompts, futures and names stay in Python.
#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace budgetmem {

using Nanoseconds = std::int64_t;
using ItemId = std::uint64_t;  // never 0; an id is not used twice

inline constexpr Nanoseconds kNever = std::numeric_limits<Nanoseconds>::max();
inline constexpr Nanoseconds kSecond = 1'000'000'000;
inline constexpr std::uint64_t kNoGroup = 0;
inline constexpr std::uint32_t kNoDevice = 0;
inline constexpr std::uint32_t kMaxTokens = 1U << 20U;

// One call (or one text of a batch) that waits for a backbone.
struct Item {
  std::uint64_t group = kNoGroup;  // calls of one backbone that share a prompt prefix
  Nanoseconds born = 0;            // when its request arrived: older requests go first
  Nanoseconds deadline = kNever;   // dropped when it can no longer be met
  std::uint32_t queue = 0;         // index into Plan::queues: its (stage, model)
  std::uint32_t tenant = 0;
  std::uint32_t tokens = 1;  // 1 to kMaxTokens: the cost that is shared fairly, and the length
};

enum class Admission : std::uint8_t { accepted, full, infeasible, closed };

enum class EventKind : std::uint8_t { dispatched, expired, closed };

// What became of a waiting item. `batch` numbers the dispatch; 0 for the other kinds.
struct Event {
  ItemId id = 0;
  std::uint64_t batch = 0;
  EventKind kind = EventKind::dispatched;
};

// One backbone, encoder or router: a pool of credits. A dispatch holds one credit until all of
// its items are finished.
struct Backbone {
  std::uint32_t credits = 1;       // dispatches in flight at most
  std::uint32_t batch_items = 1;   // items of one dispatch; 1 for engines that batch themselves
  std::uint32_t batch_tokens = 0;  // of one dispatch, padding included; 0 is no limit
  bool pads = false;               // then a dispatch takes items of one length bucket only
  Nanoseconds fixed = 0;           // the least time of a call is fixed + per_token * tokens:
  Nanoseconds per_token = 0;       //   what cannot meet its deadline is refused or dropped
  Nanoseconds leader_timeout = kNever;  // siblings wait at most so long after their leader left
  std::uint32_t device = kNoDevice;     // backbones that name the same one take turns
};

// The queue of one (stage, model), which feeds one backbone.
struct Queue {
  std::uint32_t backbone = 0;
  std::uint32_t capacity = 1;         // items that may wait
  std::uint32_t tenant_capacity = 1;  // of these, those of one tenant
};

struct Plan {
  std::vector<Backbone> backbones;
  std::vector<Queue> queues;
  std::uint32_t quantum = 1024;       // tokens that a tenant's turn adds to its deficit
  Nanoseconds age_cap = 0;            // work without an earlier deadline is due at born + age_cap
  Nanoseconds device_turn = kSecond;  // a backbone keeps its device so long when others wait
};

// Bad input. `field` names what is wrong, for example "items[3].queue".
class InvalidArgument : public std::invalid_argument {
 public:
  InvalidArgument(std::string field, const std::string& message)
      : std::invalid_argument(message), field_(std::move(field)) {}
  [[nodiscard]] const std::string& field() const noexcept { return field_; }

 private:
  std::string field_;
};

// Raises InvalidArgument naming the first thing in the plan that cannot work: no backbones or
// queues, zero credits, batches, capacities, quantum or turn, a negative time, an unknown backbone.
void validate(const Plan& plan);

}  // namespace budgetmem
