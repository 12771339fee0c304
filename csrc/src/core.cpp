#include "budgetmem/core.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "arithmetic.hpp"
#include "core_state.hpp"
#include "require.hpp"

namespace budgetmem {
namespace {

void require_items(std::span<const Item> items, std::size_t queues) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto field = [i](const char* name) { return "items[" + std::to_string(i) + "]." + name; };
    if (items[i].queue >= queues) {
      throw InvalidArgument(field("queue"), "is not a queue of the plan");
    }
    if (items[i].tokens == 0 || items[i].tokens > kMaxTokens) {
      throw InvalidArgument(field("tokens"), "must be 1 to " + std::to_string(kMaxTokens));
    }
  }
}

// A change that stopped half way would leave counts, credits and lines that no longer agree.
template <typename Change>
auto whole(Change change) {
  try {
    return change();
  } catch (const std::bad_alloc&) {
    std::fputs("budgetmem: the scheduler is out of memory\n", stderr);
    std::abort();
  }
}

}  // namespace

Core::Core(Plan plan) {
  validate(plan);
  state_ = std::make_unique<State>(std::move(plan));
}

Core::~Core() = default;
Core::Core(Core&&) noexcept = default;
Core& Core::operator=(Core&&) noexcept = default;

void Core::submit(std::span<const Item> items, Nanoseconds now, std::span<ItemId> ids,
                  std::span<Admission> answers) {
  require(ids.size() == items.size(), "ids", "must be as long as the items");
  require(answers.size() == items.size(), "answers", "must be as long as the items");
  require_items(items, state_->queues.size());
  whole([&] {
    for (std::size_t i = 0; i < items.size(); ++i) {
      answers[i] = state_->admit(items[i], now, ids[i]);
    }
  });
}

void Core::first_token(ItemId id) {
  const Record* const record = state_->in_flight(id);
  if (record != nullptr) {
    whole([&] { state_->lane_of(record->queue).first_token(id); });
  }
}

bool Core::finish(ItemId id, bool ok, Nanoseconds now) {
  const Record* const record = state_->in_flight(id);
  if (record == nullptr) {
    return false;
  }
  return whole([&] {
    Lane& lane = state_->lane_of(record->queue);
    lane.finish(id, ok);
    QueueStats& stats = state_->queues[record->queue];
    --stats.in_flight;
    ++(ok ? stats.finished : stats.failed);
    stats.service.record(elapsed(record->since, now));
    const std::uint32_t dispatch = record->dispatch;
    if (--state_->unfinished[dispatch] == 0) {
      lane.return_credit();
      state_->unfinished.give_back(dispatch);
    }
    state_->records.erase(id);
    return true;
  });
}

bool Core::cancel(ItemId id) {
  if (state_->waiting(id) == nullptr) {
    return false;
  }
  return whole([&] {
    ++state_->queues[state_->withdraw(id).queue].cancelled;
    return true;
  });
}

bool Core::advance(Nanoseconds now, std::vector<Event>& events, std::size_t limit) {
  const std::size_t room = std::numeric_limits<std::size_t>::max() - events.size();
  const std::size_t stop = events.size() + std::min(limit, room);
  return whole([&] {
    if (state_->interrupted != now) {
      std::ranges::for_each(state_->lanes, &Lane::begin_pass);
    }
    bool more = state_->expire(now, events, stop);
    if (!more) {
      std::ranges::for_each(state_->lanes, [now](Lane& lane) { lane.release_overdue(now); });
      more = state_->dispatch(now, events, stop);
    }
    state_->interrupted = more ? std::optional(now) : std::nullopt;
    return more;
  });
}

Nanoseconds Core::next_timer() const {
  Nanoseconds next = state_->deadlines.next();
  for (Lane& lane : state_->lanes) {
    next = std::min(next, lane.next_release());
  }
  for (const Device& device : state_->devices) {
    next = std::min(next, device.next_turn());
  }
  return next;
}

void Core::set_credits(std::uint32_t backbone, std::uint32_t credits) {
  require(backbone < state_->lanes.size(), "backbone", "is not a backbone of the plan");
  require(credits > 0, "credits", "must be at least 1");
  state_->lanes[backbone].set_credits(credits);
}

void Core::close(std::vector<Event>& events) {
  state_->closed = true;
  whole([&] {
    std::vector<std::pair<std::uint64_t, ItemId>> waiting;  // by admission
    state_->records.for_each([&](ItemId id, const Record& record) {
      if (record.stage != Stage::in_flight) {
        waiting.emplace_back(record.sequence, id);
      }
    });
    std::ranges::sort(waiting);
    for (const auto& [sequence, id] : waiting) {
      ++state_->queues[state_->withdraw(id).queue].closed;
      events.push_back({id, 0, EventKind::closed});
    }
  });
}

bool Core::closed() const noexcept { return state_->closed; }

const Plan& Core::plan() const noexcept { return state_->plan; }

std::vector<QueueStats> Core::queue_stats() const { return state_->queues; }

std::vector<BackboneStats> Core::backbone_stats() const {
  std::vector<BackboneStats> stats;
  stats.reserve(state_->lanes.size());
  for (const Lane& lane : state_->lanes) {
    stats.push_back(lane.stats());
  }
  return stats;
}

}  // namespace budgetmem
