// Integers of Python, with errors that name the field instead of a TypeError or an OverflowError.
#pragma once

#include <pybind11/pybind11.h>

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

namespace budgetmem::bindings {

// Raises InvalidArgument naming `field` for anything but an integer from `least` to `most`.
std::int64_t integer_within(pybind11::handle value, std::int64_t least, std::int64_t most,
                            const std::string& field);

template <std::integral Integer>
Integer integer(pybind11::handle value, const std::string& field) {
  using Limits = std::numeric_limits<Integer>;
  constexpr auto largest = std::numeric_limits<std::int64_t>::max();
  constexpr auto least = static_cast<std::int64_t>(Limits::min());
  constexpr auto most = std::in_range<std::int64_t>(Limits::max())
                            ? static_cast<std::int64_t>(Limits::max())
                            : largest;
  return static_cast<Integer>(integer_within(value, least, most, field));
}

}  // namespace budgetmem::bindings
