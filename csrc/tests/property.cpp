// Random operations on a Core, held against a model. Arguments: how many operations (10 million if
// not said), and the seed. Exits with 1 at the first rule that is broken.
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <limits>
#include <random>
#include <string>

#include "property_model.hpp"

namespace budgetmem::testing {
namespace {

constexpr std::uint64_t kPerPhase = 5000;    // operations
constexpr std::uint64_t kPerCompare = 500;   // operations
constexpr std::uint64_t kPerDrain = 500000;  // operations

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

class Run {
 public:
  explicit Run(std::uint64_t seed) : random_(seed) {}

  void step(std::uint64_t number) {
    if (number % kPerPhase == 0) {
      flood_ = below(3);
    }
    if (number % kPerDrain == kPerDrain - 1) {
      drain();
    }
    operate();
    if (number % kPerCompare == 0) {
      advance();
      model_.compare(core_, now_);
    }
  }

  // Ends everything, and sees that nothing is left.
  void end() {
    std::vector<Event> events;
    core_.close(events);
    model_.closed(events);
    submit();
    drain();
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  ItemId draw(const IdBag& bag) {
    const bool known = bag.ids().empty() || below(32) == 0;
    return known ? last_ended_ : bag.ids()[below(bag.ids().size())];
  }

  void operate() {
    const std::uint64_t choice = below(100);
    if (choice < 10 + 10 * flood_) {
      submit();
    } else if (choice < 60) {
      finish(draw(model_.in_flight()), below(4) != 0);
    } else if (choice < 67) {
      first_token();
    } else if (choice < 75) {
      cancel(draw(model_.waiting()));
    } else if (choice < 76) {
      set_credits();
    } else if (choice < 85) {
      now_ += static_cast<Nanoseconds>(below(20));
    } else {
      advance();
    }
  }

  Item item() {
    Item item;
    item.group = below(2) == 0 ? kNoGroup : below(6);
    item.born = now_ - static_cast<Nanoseconds>(below(200));
    item.deadline = below(2) == 0 ? kNever : now_ + static_cast<Nanoseconds>(below(700));
    item.queue = static_cast<std::uint32_t>(below(core_.plan().queues.size()));
    item.tenant = static_cast<std::uint32_t>(below(Model::kTenants));
    item.tokens = static_cast<std::uint32_t>(1 + below(Model::kLongest));
    return item;
  }

  void submit() {
    items_.clear();
    for (std::uint64_t count = 1 + below(6); count > 0; --count) {
      items_.push_back(item());
    }
    ids_.assign(items_.size(), 0);
    answers_.assign(items_.size(), Admission::closed);
    core_.submit(items_, now_, ids_, answers_);
    for (std::size_t i = 0; i < items_.size(); ++i) {
      model_.submitted(items_[i], now_, ids_[i], answers_[i]);
    }
  }

  void finish(ItemId id, bool ok) {
    model_.finished(id, ok, core_.finish(id, ok, now_));
    last_ended_ = id;
  }

  void cancel(ItemId id) {
    model_.cancelled(id, core_.cancel(id));
    last_ended_ = id;
  }

  void first_token() {
    if (!model_.in_flight().ids().empty()) {
      const ItemId id = model_.in_flight().ids()[below(model_.in_flight().ids().size())];
      core_.first_token(id);
      model_.read(id);
    }
  }

  void set_credits() {
    const auto backbone = static_cast<std::uint32_t>(below(core_.plan().backbones.size()));
    const auto credits = static_cast<std::uint32_t>(1 + below(8));
    core_.set_credits(backbone, credits);
    model_.set_credits(backbone, credits);
  }

  void advance() {
    events_.clear();
    const std::size_t limit = below(2) == 0 ? std::numeric_limits<std::size_t>::max() : 2;
    while (core_.advance(now_, events_, limit)) {
    }
    model_.advanced(now_, events_);
  }

  void drain() {
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

  std::mt19937_64 random_;
  Core core_{plan()};
  Model model_{plan()};
  Nanoseconds now_ = 0;
  std::uint64_t flood_ = 0;
  ItemId last_ended_ = 0;
  std::vector<Item> items_;
  std::vector<ItemId> ids_;
  std::vector<Admission> answers_;
  std::vector<Event> events_;
};

int run(std::uint64_t operations, std::uint64_t seed) {
  Run run(seed);
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t number = 0;
  try {
    for (; number < operations; ++number) {
      run.step(number);
    }
    run.end();
  } catch (const std::exception& error) {
    std::cerr << "seed " << seed << ", operation " << number << ": broken: " << error.what()
              << '\n';
    return 1;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << operations << " operations with seed " << seed << ", "
            << static_cast<std::uint64_t>(static_cast<double>(operations) / seconds.count())
            << " per second with the model\n";
  return 0;
}

}  // namespace
}  // namespace budgetmem::testing

int main(int count, char** arguments) {
  const std::uint64_t operations = count > 1 ? std::stoull(arguments[1]) : 10'000'000;
  const std::uint64_t seed = count > 2 ? std::stoull(arguments[2]) : 1;
  return budgetmem::testing::run(operations, seed);
}
