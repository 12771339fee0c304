#include <doctest/doctest.h>

#include <functional>

#include "budgetmem/types.hpp"

namespace budgetmem {
namespace {

Plan good() { return {.backbones = {{}, {}}, .queues = {{}, {.backbone = 1}}, .age_cap = 5}; }

// The field that validate() names after `spoil` has changed a good plan; "" if it accepts it.
std::string rejected(const std::function<void(Plan&)>& spoil) {
  Plan plan = good();
  spoil(plan);
  try {
    validate(plan);
  } catch (const InvalidArgument& error) {
    return error.field();
  }
  return "";
}

TEST_CASE("a good plan is accepted") {
  CHECK(rejected([](Plan&) {}).empty());
  CHECK(rejected([](Plan& plan) { plan.backbones[0].leader_timeout = 0; }).empty());
}

TEST_CASE("lists must not be empty") {
  CHECK(rejected([](Plan& plan) { plan.backbones.clear(); }) == "plan.backbones");
  CHECK(rejected([](Plan& plan) { plan.queues.clear(); }) == "plan.queues");
}

TEST_CASE("what is wrong in a backbone is named") {
  CHECK(rejected([](Plan& plan) { plan.backbones[1].credits = 0; }) == "plan.backbones[1].credits");
  CHECK(rejected([](Plan& plan) { plan.backbones[0].batch_items = 0; }) ==
        "plan.backbones[0].batch_items");
  CHECK(rejected([](Plan& plan) { plan.backbones[1].fixed = -1; }) == "plan.backbones[1].fixed");
  CHECK(rejected([](Plan& plan) { plan.backbones[1].per_token = -1; }) ==
        "plan.backbones[1].per_token");
  CHECK(rejected([](Plan& plan) { plan.backbones[1].leader_timeout = -1; }) ==
        "plan.backbones[1].leader_timeout");
}

TEST_CASE("what is wrong in a queue is named") {
  CHECK(rejected([](Plan& plan) { plan.queues[1].backbone = 2; }) == "plan.queues[1].backbone");
  CHECK(rejected([](Plan& plan) { plan.queues[0].capacity = 0; }) == "plan.queues[0].capacity");
  CHECK(rejected([](Plan& plan) { plan.queues[1].tenant_capacity = 0; }) ==
        "plan.queues[1].tenant_capacity");
}

TEST_CASE("what is wrong in the plan itself is named") {
  CHECK(rejected([](Plan& plan) { plan.quantum = 0; }) == "plan.quantum");
  CHECK(rejected([](Plan& plan) { plan.age_cap = -1; }) == "plan.age_cap");
  CHECK(rejected([](Plan& plan) { plan.device_turn = 0; }) == "plan.device_turn");
}

TEST_CASE("of several faults the first is named") {
  CHECK(rejected([](Plan& plan) {
          plan.quantum = 0;
          plan.queues[0].capacity = 0;
          plan.backbones[1].credits = 0;
        }) == "plan.backbones[1].credits");
}

}  // namespace
}  // namespace budgetmem
