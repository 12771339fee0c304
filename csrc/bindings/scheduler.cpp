#include "budgetmem/scheduler.hpp"

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "gil.hpp"
#include "integers.hpp"
#include "module.hpp"
#include "plan.hpp"
#include "work.hpp"

namespace py = pybind11;

namespace budgetmem::bindings {
namespace {

// Arguments are checked with the GIL. The calls themselves release it: they take the scheduler's
// mutex, and other threads of Python should not wait for that.

// The destructor joins the scheduler's thread.
struct Close {
  void operator()(Scheduler* scheduler) const {
    const ReleasedGil released;
    delete scheduler;
  }
};
using Holder = std::unique_ptr<Scheduler, Close>;

Holder make(py::handle plan, std::shared_ptr<ManualClock> clock) {
  if (clock == nullptr) {
    return Holder(new Scheduler(to_plan(plan)));
  }
  return Holder(new Scheduler(to_plan(plan), std::move(clock)));
}

py::tuple submit(Scheduler& scheduler, py::handle items) {
  return submit_items(items, [&](auto rows, auto ids, auto answers) {
    without_gil([&] { scheduler.submit(rows, ids, answers); });
  });
}

void first_token(Scheduler& scheduler, py::handle given) {
  const auto ids = require_ids(given);
  without_gil([&, view = values(ids)] { scheduler.first_token(view); });
}

std::size_t finish(Scheduler& scheduler, py::handle given, bool ok) {
  const auto ids = require_ids(given);
  return without_gil([&, view = values(ids)] { return scheduler.finish(view, ok); });
}

std::size_t cancel(Scheduler& scheduler, py::handle given) {
  const auto ids = require_ids(given);
  return without_gil([&, view = values(ids)] { return scheduler.cancel(view); });
}

py::array_t<Event> poll(Scheduler& scheduler) {
  return to_array(without_gil([&] { return scheduler.poll(); }));
}

void set_credits(Scheduler& scheduler, py::handle given_backbone, py::handle given_credits) {
  const auto backbone = integer<std::uint32_t>(given_backbone, "backbone");
  const auto credits = integer<std::uint32_t>(given_credits, "credits");
  without_gil([&] { scheduler.set_credits(backbone, credits); });
}

py::list queue_stats(const Scheduler& scheduler) {
  return to_list(without_gil([&] { return scheduler.queue_stats(); }));
}

py::list backbone_stats(const Scheduler& scheduler) {
  return to_list(without_gil([&] { return scheduler.backbone_stats(); }));
}

}  // namespace

void bind_scheduler(const py::module_& module) {
  py::class_<Scheduler, Holder>(module, "Scheduler", "A Core with a clock and a thread of its own.")
      .def(py::init(&make), py::arg("plan"), py::arg("clock") = py::none())
      .def("submit", submit, py::arg("items"))
      .def("first_token", first_token, py::arg("ids"))
      .def("finish", finish, py::arg("ids"), py::arg("ok").noconvert())
      .def("cancel", cancel, py::arg("ids"))
      .def("poll", poll)
      .def("fileno", &Scheduler::fileno)
      .def("now", &Scheduler::now, py::call_guard<ReleasedGil>())
      .def("set_credits", set_credits, py::arg("backbone"), py::arg("credits"))
      .def("close", &Scheduler::close, py::call_guard<ReleasedGil>())
      .def("queue_stats", queue_stats)
      .def("backbone_stats", backbone_stats);
}

}  // namespace budgetmem::bindings
