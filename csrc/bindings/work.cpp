#include "work.hpp"

#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>

#include "budgetmem/histogram.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace budgetmem::bindings {
namespace {

py::array_t<std::uint64_t> buckets(const Histogram& histogram) {
  const auto size = static_cast<py::ssize_t>(Histogram::kBuckets);
  return py::array_t<std::uint64_t>(size, histogram.buckets().data());
}

py::dict to_dict(const QueueStats& queue) {
  return py::dict("accepted"_a = queue.accepted, "full"_a = queue.full,
                  "infeasible"_a = queue.infeasible, "refused_closed"_a = queue.refused_closed,
                  "dispatched"_a = queue.dispatched, "finished"_a = queue.finished,
                  "failed"_a = queue.failed, "cancelled"_a = queue.cancelled,
                  "expired"_a = queue.expired, "closed"_a = queue.closed,
                  "waiting"_a = queue.waiting, "in_flight"_a = queue.in_flight,
                  "queued"_a = buckets(queue.queued), "queued_ns"_a = queue.queued.sum(),
                  "service"_a = buckets(queue.service), "service_ns"_a = queue.service.sum());
}

py::dict to_dict(const BackboneStats& backbone) {
  return py::dict("batches"_a = backbone.batches, "credits_in_use"_a = backbone.credits_in_use,
                  "credits"_a = backbone.credits, "leaders"_a = backbone.leaders,
                  "siblings"_a = backbone.siblings, "promotions"_a = backbone.promotions,
                  "timeouts"_a = backbone.timeouts);
}

template <typename Stats>
py::list to_dicts(std::span<const Stats> all) {
  py::list dicts;
  for (const Stats& stats : all) {
    dicts.append(to_dict(stats));
  }
  return dicts;
}

}  // namespace

py::array_t<Event> to_array(std::vector<Event> events) {
  auto owned = std::make_unique<std::vector<Event>>(std::move(events));
  const auto size = static_cast<py::ssize_t>(owned->size());
  const Event* data = owned->data();
  const py::capsule owner(owned.get(),
                          [](void* kept) { delete static_cast<std::vector<Event>*>(kept); });
  std::ignore = owned.release();  // the capsule has it
  return py::array_t<Event>(size, data, owner);
}

py::list to_list(std::span<const QueueStats> queues) { return to_dicts(queues); }

py::list to_list(std::span<const BackboneStats> backbones) { return to_dicts(backbones); }

}  // namespace budgetmem::bindings
