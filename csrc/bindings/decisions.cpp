#include "budgetmem/decisions.hpp"

#include <pybind11/numpy.h>

#include <cstdint>
#include <memory>
#include <string>

#include "arrays.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "integers.hpp"
#include "module.hpp"

namespace py = pybind11;

namespace budgetmem::bindings {
namespace {

void add(DecisionBuffer& buffer, py::handle given_rows, py::handle given_masks) {
  const auto rows = require_array<float>(given_rows, 2, "rows");
  const auto masks = require_array<std::uint8_t>(given_masks, 1, "masks");
  if (rows.shape(1) != static_cast<py::ssize_t>(buffer.width())) {
    throw InvalidArgument("rows", "must have " + std::to_string(buffer.width()) + " columns");
  }
  const bool added =
      without_gil([&, view = values(rows), of = values(masks)] { return buffer.add(view, of); });
  if (!added) {
    throw Overloaded("the decision buffer is full");
  }
}

// Views of the batch, which they keep alive.
py::array_t<float> features(const py::object& self) {
  auto& batch = self.cast<DecisionBatch&>();
  return py::array_t<float>({batch.size(), batch.width()}, batch.features().data(), self);
}

py::array_t<std::uint8_t> masks(const py::object& self) {
  const auto given = self.cast<DecisionBatch&>().masks();
  py::array_t<std::uint8_t> view(static_cast<py::ssize_t>(given.size()), given.data(), self);
  view.attr("setflags")(py::arg("write") = false);
  return view;
}

py::tuple choose(py::handle given_logits, py::handle given_masks,
                 const py::object& given_uniforms) {
  const auto logits = require_array<float>(given_logits, 2, "logits");
  const auto masks = require_array<std::uint8_t>(given_masks, 1, "masks");
  py::array_t<double> uniforms;
  if (!given_uniforms.is_none()) {
    uniforms = require_array<double>(given_uniforms, 1, "uniforms");
    if (uniforms.shape(0) != logits.shape(0)) {
      throw InvalidArgument("uniforms", "must be one a row of logits");
    }
  }
  py::array_t<float> probabilities({logits.shape(0), logits.shape(1)});
  py::array_t<std::uint8_t> chosen(logits.shape(0));
  without_gil([tiers = static_cast<std::size_t>(logits.shape(1)), rows = values(logits),
               forbidden = values(masks), samples = values(uniforms),
               weights = mutable_values(probabilities), choice = mutable_values(chosen)] {
    choose_tiers(rows, forbidden, tiers, samples, weights, choice);
  });
  return py::make_tuple(chosen, probabilities);
}

}  // namespace

void bind_decisions(py::module_& module) {
  py::class_<DecisionBatch, std::shared_ptr<DecisionBatch>>(module, "DecisionBatch",
                                                            "One micro-batch of decisions.")
      .def_property_readonly("features", &features)
      .def_property_readonly("masks", &masks);
  py::class_<DecisionBuffer>(module, "DecisionBuffer", "Gathers decisions until they are taken.")
      .def(py::init([](py::handle width, py::handle capacity) {
             return std::make_unique<DecisionBuffer>(integer<std::size_t>(width, "width"),
                                                     integer<std::size_t>(capacity, "capacity"));
           }),
           py::arg("width"), py::arg("capacity"))
      .def("add", add, py::arg("rows"), py::arg("masks"))
      .def("take", &DecisionBuffer::take, py::call_guard<ReleasedGil>())
      .def("__len__", &DecisionBuffer::waiting, py::call_guard<ReleasedGil>());
  module.def("choose_tiers", choose, py::arg("logits"), py::arg("masks"),
             py::arg("uniforms") = py::none(),
             "The tiers and their probabilities under the masks.");
}

}  // namespace budgetmem::bindings
