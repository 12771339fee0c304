#include "errors.hpp"

#include <pybind11/gil_safe_call_once.h>
#include <pybind11/pybind11.h>

#include <exception>
#include <system_error>
#include <utility>

#include "budgetmem/types.hpp"
#include "module.hpp"

namespace py = pybind11;

namespace budgetmem::bindings {
namespace {

using Stored = py::gil_safe_call_once_and_store<py::object>;

// The class is looked up once, when it is first raised.
const py::object& error_class(Stored& stored, const char* name) {
  return stored
      .call_once_and_store_result(
          [name]() -> py::object { return py::module_::import("budgetmem.errors").attr(name); })
      .get_stored();
}

void raise(const InvalidArgument& failure) {
  PYBIND11_CONSTINIT static Stored stored;
  const py::object& invalid_input = error_class(stored, "InvalidInput");
  py::set_error(invalid_input, invalid_input(failure.field(), failure.what()));
}

void raise(const Overloaded& failure) {
  PYBIND11_CONSTINIT static Stored stored;
  const py::object& overloaded = error_class(stored, "Overloaded");
  py::set_error(overloaded, overloaded(failure.what()));
}

void translate(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(std::move(thrown));
  } catch (const InvalidArgument& failure) {
    raise(failure);
  } catch (const Overloaded& failure) {
    raise(failure);
  } catch (const std::system_error& failure) {  // no descriptor or no thread to be had
    py::set_error(PyExc_OSError, py::make_tuple(failure.code().value(), failure.what()));
  }
}

}  // namespace

void bind_errors() { py::register_local_exception_translator(translate); }

}  // namespace budgetmem::bindings
