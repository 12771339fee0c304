// The scheduler's decisions, as a state machine without threads: time is an argument. The same
// operations at the same times give the same events; budgetmem/scheduling/reference.py is its
// readable twin, and tests hold the two together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "budgetmem/histogram.hpp"
#include "budgetmem/types.hpp"

namespace budgetmem {

// Of one queue, since the start; `waiting` and `in_flight` are now.
struct QueueStats {
  std::uint64_t accepted = 0;
  std::uint64_t full = 0;
  std::uint64_t infeasible = 0;
  std::uint64_t refused_closed = 0;
  std::uint64_t dispatched = 0;
  std::uint64_t finished = 0;  // well; `failed` are the others
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;  // while waiting
  std::uint64_t expired = 0;
  std::uint64_t closed = 0;  // waiting when the scheduler closed
  std::uint64_t waiting = 0;
  std::uint64_t in_flight = 0;
  Histogram queued;   // from admission to dispatch
  Histogram service;  // from dispatch to finish
};

struct BackboneStats {
  std::uint64_t batches = 0;
  std::uint64_t credits_in_use = 0;
  std::uint64_t credits = 0;
  std::uint64_t leaders = 0;     // dispatched when nobody led their group, promoted ones too
  std::uint64_t siblings = 0;    // dispatched when their group was read
  std::uint64_t promotions = 0;  // leaders that failed unread and left others in their group
  std::uint64_t timeouts = 0;    // groups released because their leader was slow
};

// A change for which there is no memory ends the process, with a line on stderr: half of it would
// lose credits. Statistics raise std::bad_alloc.
class Core {
 public:
  explicit Core(Plan plan);  // raises InvalidArgument, see validate()
  ~Core();
  Core(Core&&) noexcept;
  Core& operator=(Core&&) noexcept;

  // Admits what there is room for. `ids` and `answers` are as long as `items`; an item that is not
  // accepted gets id 0. Raises InvalidArgument, having admitted nothing, for an unknown queue or
  // tokens out of range.
  void submit(std::span<const Item> items, Nanoseconds now, std::span<ItemId> ids,
              std::span<Admission> answers);

  // The prompt of this item has been read. Releases the siblings of a leader; else does nothing.
  void first_token(ItemId id);

  // Ends an item in flight and, with the last of its dispatch, returns the credit. A leader that
  // failed before its first token leaves its group to a sibling. False, and nothing happens, for an
  // item that is not in flight (any more), so that credits return exactly once.
  bool finish(ItemId id, bool ok, Nanoseconds now);

  // Takes back an item that waits, in O(1). False if it does not wait (any more): one in flight is
  // for the caller to stop, and to finish.
  bool cancel(ItemId id);

  // Expires and releases what time has come for, then dispatches while there are credits. Stops
  // after about `limit` events; true if there is more to do at this time.
  bool advance(Nanoseconds now, std::vector<Event>& events,
               std::size_t limit = std::numeric_limits<std::size_t>::max());

  // When advance() has something to do although nothing else happens; kNever if never.
  [[nodiscard]] Nanoseconds next_timer() const;

  void set_credits(std::uint32_t backbone, std::uint32_t credits);  // raises InvalidArgument

  // Admits nothing from now on; what waits gets a `closed` event. Work in flight may finish.
  void close(std::vector<Event>& events);
  [[nodiscard]] bool closed() const noexcept;

  [[nodiscard]] const Plan& plan() const noexcept;
  [[nodiscard]] std::vector<QueueStats> queue_stats() const;
  [[nodiscard]] std::vector<BackboneStats> backbone_stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace budgetmem
