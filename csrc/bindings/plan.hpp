// budgetmem.scheduling.interface.Plan, read attribute by attribute.
#pragma once

#include <pybind11/pybind11.h>

#include "budgetmem/types.hpp"

namespace budgetmem::bindings {

// Raises InvalidArgument naming the first field that is missing, or that is no integer (or bool) of
// its range. What the numbers mean is for validate().
Plan to_plan(pybind11::handle from);

}  // namespace budgetmem::bindings
