#include "integers.hpp"

#include "budgetmem/types.hpp"

namespace py = pybind11;

namespace budgetmem::bindings {

// Numpy's integers are welcome. A bool is none, although Python thinks so.
std::int64_t integer_within(py::handle value, std::int64_t least, std::int64_t most,
                            const std::string& field) {
  if (PyIndex_Check(value.ptr()) == 0 || PyBool_Check(value.ptr())) {
    throw InvalidArgument(field, "must be an integer");
  }
  const auto index = py::reinterpret_steal<py::int_>(PyNumber_Index(value.ptr()));
  if (!index) {
    throw py::error_already_set();
  }
  int overflow = 0;
  const std::int64_t given = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  if (overflow != 0 || given < least || given > most) {
    throw InvalidArgument(field,
                          "must be from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return given;
}

}  // namespace budgetmem::bindings
