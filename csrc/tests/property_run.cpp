#include "property_run.hpp"

#include <limits>
#include <utility>

namespace budgetmem::testing {
namespace {

Plan plan() {
  return {.backbones = {{.credits = 6, .leader_timeout = 60},
                        {.credits = 3,
                         .batch_items = 8,
                         .batch_tokens = 600,
                         .pads = true,
                         .fixed = 10,
                         .per_token = 1,
                         .leader_timeout = 40},
                        {.credits = 2, .batch_items = 4},
                        {.credits = 3, .leader_timeout = 60, .device = 7},
                        {.credits = 4, .batch_items = 2, .device = 7}},
          .queues = {{0, 60, 40},
                     {0, 30, 12},
                     {1, 80, 30},
                     {2, 40, 20},
                     {2, 10, 10},
                     {3, 40, 20},
                     {4, 40, 20}},
          .quantum = 64,
          .age_cap = 500,
          .device_turn = 100};
}

}  // namespace

Run::Run(Draw below) : below_(std::move(below)), core_(plan()), model_(plan()) {}

ItemId Run::draw(const IdBag& bag) {
  const bool known = bag.ids().empty() || below_(32) == 0;
  return known ? last_ended_ : bag.ids()[below_(bag.ids().size())];
}

void Run::operate() {
  const std::uint64_t choice = below_(100);
  if (choice < 10 + 10 * flood_) {
    submit();
  } else if (choice < 60) {
    finish(draw(model_.in_flight()), below_(4) != 0);
  } else if (choice < 67) {
    first_token();
  } else if (choice < 75) {
    cancel(draw(model_.waiting()));
  } else if (choice < 76) {
    set_credits();
  } else if (choice < 85) {
    now_ += static_cast<Nanoseconds>(below_(20));
  } else {
    advance();
  }
}

void Run::check() {
  advance();
  model_.compare(core_, now_);
}

void Run::drain() {
  advance();
  while (!model_.in_flight().ids().empty()) {
    finish(model_.in_flight().ids().back(), true);
    advance();
  }
  expect(model_.waiting().ids().empty(), "what waits is dispatched when credits come back");
  model_.compare(core_, now_);
  for (const BackboneStats& backbone : core_.backbone_stats()) {
    expect(backbone.credits_in_use == 0, "every credit comes back");
  }
}

void Run::end() {
  std::vector<Event> events;
  core_.close(events);
  model_.closed(events);
  submit();
  drain();
}

Item Run::item() {
  Item item;
  item.group = below_(2) == 0 ? kNoGroup : below_(6);
  item.born = now_ - static_cast<Nanoseconds>(below_(200));
  item.deadline = below_(2) == 0 ? kNever : now_ + static_cast<Nanoseconds>(below_(700));
  item.queue = static_cast<std::uint32_t>(below_(core_.plan().queues.size()));
  item.tenant = static_cast<std::uint32_t>(below_(Model::kTenants));
  item.tokens = static_cast<std::uint32_t>(1 + below_(Model::kLongest));
  return item;
}

void Run::submit() {
  items_.clear();
  for (std::uint64_t count = 1 + below_(6); count > 0; --count) {
    items_.push_back(item());
  }
  ids_.assign(items_.size(), 0);
  answers_.assign(items_.size(), Admission::closed);
  core_.submit(items_, now_, ids_, answers_);
  for (std::size_t i = 0; i < items_.size(); ++i) {
    model_.submitted(items_[i], now_, ids_[i], answers_[i]);
  }
}

void Run::finish(ItemId id, bool ok) {
  model_.finished(id, ok, core_.finish(id, ok, now_));
  last_ended_ = id;
}

void Run::cancel(ItemId id) {
  model_.cancelled(id, core_.cancel(id));
  last_ended_ = id;
}

void Run::first_token() {
  if (!model_.in_flight().ids().empty()) {
    const ItemId id = model_.in_flight().ids()[below_(model_.in_flight().ids().size())];
    core_.first_token(id);
    model_.read(id);
  }
}

void Run::set_credits() {
  const auto backbone = static_cast<std::uint32_t>(below_(core_.plan().backbones.size()));
  const auto credits = static_cast<std::uint32_t>(1 + below_(8));
  core_.set_credits(backbone, credits);
  model_.set_credits(backbone, credits);
}

void Run::advance() {
  events_.clear();
  const std::size_t limit = below_(2) == 0 ? std::numeric_limits<std::size_t>::max() : 2;
  while (core_.advance(now_, events_, limit)) {
  }
  model_.advanced(now_, events_);
}

}  // namespace budgetmem::testing
