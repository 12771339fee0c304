#include "plan.hpp"

#include <string>
#include <vector>

#include "integers.hpp"

namespace py = pybind11;

namespace budgetmem::bindings {
namespace {

// An object of Python, and the path that leads there.
struct Node {
  py::object value;
  std::string path;

  [[nodiscard]] Node attribute(const char* name) const {
    const std::string field = path + "." + name;
    if (!py::hasattr(value, name)) {
      throw InvalidArgument(field, "is missing");
    }
    return {value.attr(name), field};
  }

  template <typename Integer>
  [[nodiscard]] Integer number(const char* name) const {
    const Node node = attribute(name);
    return integer<Integer>(node.value, node.path);
  }

  [[nodiscard]] bool flag(const char* name) const {
    const Node node = attribute(name);
    if (!py::isinstance<py::bool_>(node.value)) {
      throw InvalidArgument(node.path, "must be a bool");
    }
    return node.value.cast<bool>();
  }

  template <typename Convert>
  [[nodiscard]] auto sequence(const char* name, Convert convert) const {
    const Node node = attribute(name);
    if (!py::isinstance<py::sequence>(node.value)) {
      throw InvalidArgument(node.path, "must be a sequence");
    }
    std::vector<decltype(convert(node))> converted;
    for (const py::handle element : node.value) {
      const std::string at = node.path + "[" + std::to_string(converted.size()) + "]";
      converted.push_back(convert({py::reinterpret_borrow<py::object>(element), at}));
    }
    return converted;
  }
};

Backbone to_backbone(const Node& from) {
  return {.credits = from.number<std::uint32_t>("credits"),
          .batch_items = from.number<std::uint32_t>("batch_items"),
          .batch_tokens = from.number<std::uint32_t>("batch_tokens"),
          .pads = from.flag("pads"),
          .fixed = from.number<Nanoseconds>("fixed"),
          .per_token = from.number<Nanoseconds>("per_token"),
          .leader_timeout = from.number<Nanoseconds>("leader_timeout"),
          .device = from.number<std::uint32_t>("device")};
}

Queue to_queue(const Node& from) {
  return {.backbone = from.number<std::uint32_t>("backbone"),
          .capacity = from.number<std::uint32_t>("capacity"),
          .tenant_capacity = from.number<std::uint32_t>("tenant_capacity")};
}

}  // namespace

Plan to_plan(py::handle from) {
  const Node plan{py::reinterpret_borrow<py::object>(from), "plan"};
  return {.backbones = plan.sequence("backbones", to_backbone),
          .queues = plan.sequence("queues", to_queue),
          .quantum = plan.number<std::uint32_t>("quantum"),
          .age_cap = plan.number<Nanoseconds>("age_cap"),
          .device_turn = plan.number<Nanoseconds>("device_turn")};
}

}  // namespace budgetmem::bindings
