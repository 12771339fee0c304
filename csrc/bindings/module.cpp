#include "module.hpp"

#include <pybind11/numpy.h>

#include "budgetmem/types.hpp"

namespace budgetmem::bindings {

PYBIND11_MODULE(_core, module) {
  module.doc() = "The tier scheduler and the router's micro-batches, in C++.";
  pybind11::options options;
  options.disable_function_signatures();  // the stub has better ones

  PYBIND11_NUMPY_DTYPE(Item, group, born, deadline, queue, tenant, tokens);
  PYBIND11_NUMPY_DTYPE(Event, id, batch, kind);
  bind_errors();
  bind_clock(module);
  bind_core(module);
  bind_scheduler(module);
  bind_decisions(module);
}

}  // namespace budgetmem::bindings
