#include "arrays.hpp"

#include <cstdint>

namespace py = pybind11;

namespace budgetmem::bindings {

void require_layout(const py::array& array, py::ssize_t dimensions, std::size_t alignment,
                    const char* field) {
  if (array.ndim() != dimensions) {
    throw InvalidArgument(field, "must have " + std::to_string(dimensions) +
                                     (dimensions == 1 ? " dimension" : " dimensions"));
  }
  if ((array.flags() & py::array::c_style) == 0) {
    throw InvalidArgument(field, "must be C-contiguous");
  }
  if (reinterpret_cast<std::uintptr_t>(array.data()) % alignment != 0) {
    throw InvalidArgument(field, "must be aligned");
  }
}

}  // namespace budgetmem::bindings
