// Any plan, any items, any times, and ids that were never given. The model of the property test has
// no room for these: here every item that is accepted must end once, and the sanitizers look on.
#include <cstddef>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <vector>

#include "budgetmem/core.hpp"
#include "bytes.hpp"

namespace budgetmem::fuzzing {
namespace {

void expect(bool holds, const char* rule) {
  if (!holds) {
    throw std::logic_error(rule);
  }
}

Plan plan(Bytes& bytes) {
  Plan plan{.quantum = bytes.some<std::uint32_t>(64),
            .age_cap = bytes.some<Nanoseconds>(200),
            .device_turn = bytes.some<Nanoseconds>(100)};
  for (std::uint64_t count = 1 + bytes.below(3); count > 0; --count) {
    plan.backbones.push_back({.credits = bytes.some<std::uint32_t>(4),
                              .batch_items = bytes.some<std::uint32_t>(4),
                              .batch_tokens = bytes.some<std::uint32_t>(200),
                              .pads = bytes.below(2) == 0,
                              .fixed = bytes.some<Nanoseconds>(20),
                              .per_token = bytes.some<Nanoseconds>(2),
                              .leader_timeout = bytes.some<Nanoseconds>(60),
                              .device = bytes.some<std::uint32_t>(2)});
  }
  for (std::uint64_t count = 1 + bytes.below(3); count > 0; --count) {
    plan.queues.push_back({.backbone = static_cast<std::uint32_t>(bytes.below(4)),
                           .capacity = bytes.some<std::uint32_t>(20),
                           .tenant_capacity = bytes.some<std::uint32_t>(10)});
  }
  return plan;
}

class Run {
 public:
  explicit Run(Bytes& bytes) : bytes_(bytes), core_(plan(bytes)) {}

  void operate() {
    switch (bytes_.below(8)) {
      case 0:
      case 1:
        return submit();
      case 2:
        return core_.first_token(id());
      case 3:
        core_.finish(id(), bytes_.below(4) != 0, now_);
        return;
      case 4:
        core_.cancel(id());
        return;
      case 5:
        return core_.set_credits(static_cast<std::uint32_t>(bytes_.below(4)),
                                 bytes_.some<std::uint32_t>(4));
      case 6:
        now_ = bytes_.some<Nanoseconds>(900);
        return;
      default:
        return advance();
    }
  }

  // Everything ends, and was counted.
  void end() {
    core_.close(events_);
    for (const ItemId id : ids_) {
      core_.finish(id, true, now_);
    }
    for (const QueueStats& queue : core_.queue_stats()) {
      expect(queue.waiting == 0 && queue.in_flight == 0, "nothing is left");
      expect(queue.accepted ==
                 queue.finished + queue.failed + queue.cancelled + queue.expired + queue.closed,
             "every accepted item ended once");
    }
    for (const BackboneStats& backbone : core_.backbone_stats()) {
      expect(backbone.credits_in_use == 0, "every credit comes back");
    }
  }

 private:
  ItemId id() {
    const bool known = !ids_.empty() && bytes_.below(8) != 0;
    return known ? ids_[bytes_.below(ids_.size())] : bytes_.some<ItemId>(64);
  }

  void submit() {
    std::vector<Item> items;
    for (std::uint64_t count = bytes_.below(6); count > 0; --count) {
      items.push_back({.group = bytes_.some<std::uint64_t>(4),
                       .born = bytes_.some<Nanoseconds>(200),
                       .deadline = bytes_.some<Nanoseconds>(700),
                       .queue = static_cast<std::uint32_t>(bytes_.below(4)),
                       .tenant = bytes_.some<std::uint32_t>(4),
                       .tokens = bytes_.some<std::uint32_t>(200)});
    }
    std::vector<ItemId> ids(items.size());
    std::vector<Admission> answers(items.size());
    core_.submit(items, now_, ids, answers);
    for (std::size_t i = 0; i < items.size(); ++i) {
      expect((ids[i] != 0) == (answers[i] == Admission::accepted), "what is accepted has an id");
      if (ids[i] != 0) {
        ids_.push_back(ids[i]);
      }
    }
  }

  void advance() {
    events_.clear();
    const std::size_t limit = bytes_.some<std::uint32_t>(64);
    core_.advance(now_, events_, limit);
    expect(core_.next_timer() >= now_ || limit <= events_.size(), "what is due was done");
  }

  Bytes& bytes_;
  Core core_;
  Nanoseconds now_ = 0;
  std::vector<ItemId> ids_;
  std::vector<Event> events_;
};

}  // namespace
}  // namespace budgetmem::fuzzing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  budgetmem::fuzzing::Bytes bytes({data, size});
  try {
    budgetmem::fuzzing::Run run(bytes);
    while (!bytes.empty()) {
      try {
        run.operate();
      } catch (const budgetmem::InvalidArgument&) {  // refused, with nothing changed
      }
    }
    run.end();
  } catch (const budgetmem::InvalidArgument&) {  // a plan that cannot work
  }
  return 0;
}
