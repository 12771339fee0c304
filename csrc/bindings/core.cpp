#include "budgetmem/core.hpp"

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "integers.hpp"
#include "module.hpp"
#include "plan.hpp"
#include "work.hpp"

namespace py = pybind11;

namespace budgetmem::bindings {
namespace {

// A Core has no mutex: these calls hold the GIL, which keeps threads apart.

py::tuple submit(Core& core, py::handle items, py::handle given_now) {
  const auto now = integer<Nanoseconds>(given_now, "now");
  return submit_items(
      items, [&](auto rows, auto ids, auto answers) { core.submit(rows, now, ids, answers); });
}

void first_token(Core& core, py::handle given) {
  const auto ids = require_ids(given);
  for (const ItemId id : values(ids)) {
    core.first_token(id);
  }
}

std::size_t finish(Core& core, py::handle given, bool ok, py::handle given_now) {
  const auto ids = require_ids(given);
  const auto now = integer<Nanoseconds>(given_now, "now");
  return static_cast<std::size_t>(
      std::ranges::count_if(values(ids), [&](ItemId id) { return core.finish(id, ok, now); }));
}

std::size_t cancel(Core& core, py::handle given) {
  const auto ids = require_ids(given);
  return static_cast<std::size_t>(
      std::ranges::count_if(values(ids), [&](ItemId id) { return core.cancel(id); }));
}

py::array_t<Event> advance(Core& core, py::handle now) {
  std::vector<Event> events;
  core.advance(integer<Nanoseconds>(now, "now"), events);
  return to_array(std::move(events));
}

py::array_t<Event> close(Core& core) {
  std::vector<Event> events;
  core.close(events);
  return to_array(std::move(events));
}

void set_credits(Core& core, py::handle backbone, py::handle credits) {
  core.set_credits(integer<std::uint32_t>(backbone, "backbone"),
                   integer<std::uint32_t>(credits, "credits"));
}

}  // namespace

void bind_core(const py::module_& module) {
  py::class_<Core>(module, "Core", "The scheduler's decisions; time is an argument.")
      .def(py::init([](py::handle plan) { return Core(to_plan(plan)); }), py::arg("plan"))
      .def("submit", submit, py::arg("items"), py::arg("now"))
      .def("first_token", first_token, py::arg("ids"))
      .def("finish", finish, py::arg("ids"), py::arg("ok").noconvert(), py::arg("now"))
      .def("cancel", cancel, py::arg("ids"))
      .def("advance", advance, py::arg("now"))
      .def("next_timer", &Core::next_timer)
      .def("set_credits", set_credits, py::arg("backbone"), py::arg("credits"))
      .def("close", close)
      .def_property_readonly("closed", &Core::closed)
      .def("queue_stats", [](const Core& core) { return to_list(core.queue_stats()); })
      .def("backbone_stats", [](const Core& core) { return to_list(core.backbone_stats()); });
}

}  // namespace budgetmem::bindings
