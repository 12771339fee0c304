// The parts of budgetmem._core; module.cpp puts them together. budgetmem/_core.pyi documents them.
#pragma once

#include <pybind11/pybind11.h>

namespace budgetmem::bindings {

void bind_errors();
void bind_clock(const pybind11::module_& module);
void bind_core(const pybind11::module_& module);
void bind_scheduler(const pybind11::module_& module);
void bind_decisions(pybind11::module_& module);

}  // namespace budgetmem::bindings
