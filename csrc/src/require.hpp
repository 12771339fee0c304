// Checks of arguments.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

#include "budgetmem/types.hpp"

namespace budgetmem {

inline void require(bool holds, const std::string& field, const char* message) {
  if (!holds) {
    throw InvalidArgument(field, message);
  }
}

// Raises InvalidArgument naming the first row of `width` values that has one that does not hold.
template <typename Value, typename Predicate>
void require_rows(std::span<const Value> values, std::size_t width, Predicate holds,
                  const std::string& field, const char* message) {
  const auto wrong = std::find_if_not(values.begin(), values.end(), holds);
  if (wrong != values.end()) {
    const auto row = static_cast<std::size_t>(wrong - values.begin()) / width;
    throw InvalidArgument(field + "[" + std::to_string(row) + "]", message);
  }
}

}  // namespace budgetmem
