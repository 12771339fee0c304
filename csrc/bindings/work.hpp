// What Core and Scheduler both take and give: items, ids, events, statistics.
#pragma once

#include <pybind11/numpy.h>

#include <span>
#include <vector>

#include "arrays.hpp"
#include "budgetmem/core.hpp"

namespace budgetmem::bindings {

// Calls submit(items, ids, answers), and gives (ids, answers).
template <typename Submit>
pybind11::tuple submit_items(pybind11::handle given, Submit submit) {
  const auto items = require_array<Item>(given, 1, "items");
  pybind11::array_t<ItemId> ids(items.size());
  pybind11::array_t<Admission> answers(items.size());
  submit(values(items), mutable_values(ids), mutable_values(answers));
  return pybind11::make_tuple(ids, answers);
}

inline pybind11::array_t<ItemId> require_ids(pybind11::handle given) {
  return require_array<ItemId>(given, 1, "ids");
}

// An array that owns the events; they are not copied.
pybind11::array_t<Event> to_array(std::vector<Event> events);

// A list of dicts; the names are those of budgetmem/scheduling/interface.py.
pybind11::list to_list(std::span<const QueueStats> queues);
pybind11::list to_list(std::span<const BackboneStats> backbones);

}  // namespace budgetmem::bindings
