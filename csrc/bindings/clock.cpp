#include "budgetmem/clock.hpp"

#include <pybind11/pybind11.h>

#include <memory>

#include "gil.hpp"
#include "integers.hpp"
#include "module.hpp"

namespace py = pybind11;

namespace budgetmem::bindings {

void bind_clock(const py::module_& module) {
  py::class_<ManualClock, std::shared_ptr<ManualClock>>(
      module, "ManualClock", "Time that stands still until it is advanced.")
      .def(py::init([](py::handle start) {
             return std::make_shared<ManualClock>(integer<Nanoseconds>(start, "start"));
           }),
           py::arg("start") = 0)
      .def("now", &ManualClock::now, py::call_guard<ReleasedGil>())
      .def(
          "advance",
          [](ManualClock& clock, py::handle given) {
            const auto by = integer<Nanoseconds>(given, "by");
            without_gil([&] { clock.advance(by); });  // it takes the mutexes of who waits
          },
          py::arg("by"));
}

}  // namespace budgetmem::bindings
