#include "budgetmem/types.hpp"

#include <cstddef>

#include "require.hpp"

namespace budgetmem {
namespace {

std::string element(const char* list, std::size_t index) {
  return "plan." + std::string(list) + "[" + std::to_string(index) + "].";
}

void validate(const Backbone& backbone, const std::string& at) {
  require(backbone.credits > 0, at + "credits", "must be at least 1");
  require(backbone.batch_items > 0, at + "batch_items", "must be at least 1");
  require(backbone.fixed >= 0, at + "fixed", "must not be negative");
  require(backbone.per_token >= 0, at + "per_token", "must not be negative");
  require(backbone.leader_timeout >= 0, at + "leader_timeout", "must not be negative");
}

void validate(const Queue& queue, std::size_t backbones, const std::string& at) {
  require(queue.backbone < backbones, at + "backbone", "is not a backbone of the plan");
  require(queue.capacity > 0, at + "capacity", "must be at least 1");
  require(queue.tenant_capacity > 0, at + "tenant_capacity", "must be at least 1");
}

}  // namespace

void validate(const Plan& plan) {
  require(!plan.backbones.empty(), "plan.backbones", "must not be empty");
  require(!plan.queues.empty(), "plan.queues", "must not be empty");
  for (std::size_t i = 0; i < plan.backbones.size(); ++i) {
    validate(plan.backbones[i], element("backbones", i));
  }
  for (std::size_t i = 0; i < plan.queues.size(); ++i) {
    validate(plan.queues[i], plan.backbones.size(), element("queues", i));
  }
  require(plan.quantum > 0, "plan.quantum", "must be at least 1");
  require(plan.age_cap >= 0, "plan.age_cap", "must not be negative");
  require(plan.device_turn > 0, "plan.device_turn", "must be at least 1");
}

}  // namespace budgetmem
