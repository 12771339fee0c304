// Numpy arrays that C++ reads where they lie. Nothing is cast or copied: what does not fit is
// refused.
#pragma once

#include <pybind11/numpy.h>

#include <cstddef>
#include <span>
#include <string>

#include "budgetmem/types.hpp"

namespace budgetmem::bindings {

// Raises InvalidArgument naming `field` unless the array has so many dimensions, is C-contiguous
// and begins at a multiple of `alignment`.
void require_layout(const pybind11::array& array, pybind11::ssize_t dimensions,
                    std::size_t alignment, const char* field);

// `given`, if it is an array of exactly this dtype and layout; else raises as above.
template <typename Value>
pybind11::array_t<Value> require_array(pybind11::handle given, pybind11::ssize_t dimensions,
                                       const char* field) {
  if (!pybind11::isinstance<pybind11::array_t<Value>>(given)) {
    const pybind11::str dtype(pybind11::dtype::of<Value>());
    throw InvalidArgument(field, "must be a numpy array of " + std::string(dtype));
  }
  const auto array = pybind11::reinterpret_borrow<pybind11::array_t<Value>>(given);
  require_layout(array, dimensions, alignof(Value), field);
  return array;
}

template <typename Value>
std::span<const Value> values(const pybind11::array_t<Value>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

template <typename Value>
std::span<Value> mutable_values(pybind11::array_t<Value>& array) {
  return {array.mutable_data(), static_cast<std::size_t>(array.size())};
}

}  // namespace budgetmem::bindings
