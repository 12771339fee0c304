#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "budgetmem/decisions.hpp"

namespace budgetmem {
namespace {

using Floats = std::vector<float>;
using Masks = std::vector<std::uint8_t>;
using Uniforms = std::vector<double>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

struct Choice {
  Floats probabilities;
  Masks chosen;
};

Choice choose(const Floats& logits, const Masks& masks, const Uniforms& uniforms = {},
              std::size_t tiers = 3) {
  Choice choice{.probabilities = Floats(logits.size(), -1.0F), .chosen = Masks(masks.size(), 99)};
  choose_tiers(logits, masks, tiers, uniforms, choice.probabilities, choice.chosen);
  return choice;
}

void check_close(const Floats& actual, const Floats& expected) {
  REQUIRE(actual.size() == expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    CHECK(std::abs(actual[i] - expected[i]) < 1e-6F);
  }
}

std::string field_of(const auto& call) {
  try {
    call();
  } catch (const InvalidArgument& error) {
    return error.field();
  }
  return "";
}

TEST_CASE("probabilities are a softmax, and the greatest is chosen") {
  const Choice choice = choose({0, std::numbers::ln2_v<float>, std::log(5.0F), 3, 1, 1}, {0, 0});
  const float total = 1 + 2 * std::exp(-2.0F);
  check_close(choice.probabilities,
              {0.125F, 0.25F, 0.625F, 1 / total, std::exp(-2.0F) / total, std::exp(-2.0F) / total});
  CHECK(choice.chosen == Masks{2, 0});
}

TEST_CASE("masked tiers have probability 0 and are not chosen") {
  const Choice choice = choose({0, std::log(3.0F), 50}, {0b100});
  check_close(choice.probabilities, {0.25F, 0.75F, 0});
  CHECK(choice.probabilities[2] == 0);
  CHECK(choice.chosen == Masks{1});
}

TEST_CASE("mask bits beyond the tiers mean nothing") {
  CHECK(choose({0, 1, 0}, {0b11111000}).chosen == Masks{1});
}

TEST_CASE("of equals the lower tier is chosen") {
  CHECK(choose({1, 2, 2, 4, 4, 4, 1, 1, 1}, {0, 0, 1}).chosen == Masks{1, 0, 1});
}

TEST_CASE("logits that differ by less than their weights can tell are still compared") {
  CHECK(choose({0, 1e-30F, 0}, {0}).chosen == Masks{1});
}

TEST_CASE("where all tiers are masked tier 0 has probability 1") {
  const Choice choice = choose({1, 9, 2, 1, 9, 2}, {0b111, 0xFF}, {0.99, 0.5});
  CHECK(choice.probabilities == Floats{1, 0, 0, 1, 0, 0});
  CHECK(choice.chosen == Masks{0, 0});
}

TEST_CASE("large and infinite logits do not overflow") {
  check_close(choose({1e38F, -1e38F, 1e38F}, {0}).probabilities, {0.5F, 0, 0.5F});
  check_close(choose({kInf, 3, kInf}, {0}).probabilities, {0.5F, 0, 0.5F});
  check_close(choose({-kInf, 3, -kInf}, {0}).probabilities, {0, 1, 0});
  check_close(choose({-kInf, 3, -kInf}, {0b010}).probabilities, {0.5F, 0, 0.5F});
}

TEST_CASE("samples are drawn by inversion") {
  const Floats row = {0, std::numbers::ln2_v<float>, 0};  // probabilities 1/4, 1/2, 1/4
  const auto sampled = [&row](double uniform, std::uint8_t mask) {
    return static_cast<int>(choose(row, {mask}, {uniform}).chosen[0]);
  };
  CHECK(sampled(0.0, 0) == 0);
  CHECK(sampled(0.2499, 0) == 0);
  CHECK(sampled(0.2501, 0) == 1);
  CHECK(sampled(0.7499, 0) == 1);
  CHECK(sampled(0.7501, 0) == 2);
  CHECK(sampled(0.0, 0b001) == 1);  // 2/3, 1/3
  CHECK(sampled(0.6666, 0b001) == 1);
  CHECK(sampled(0.6667, 0b001) == 2);
  CHECK(sampled(0.4999, 0b010) == 0);  // 1/2, 1/2
  CHECK(sampled(0.5, 0b010) == 2);
}

TEST_CASE("the largest uniform samples the last tier that has any probability") {
  const double last = std::nextafter(1.0, 0.0);
  CHECK(choose({0, 0, 0, 0, 0, -kInf, 0.1F, 0.3F, 0}, {0, 0, 0b100}, {last, last, last}).chosen ==
        Masks{2, 1, 1});
}

TEST_CASE("a tier whose probability is too small for a float is not sampled") {
  const Choice choice = choose({-200, 0, -200}, {0}, {0.0});
  CHECK(choice.probabilities == Floats{0, 1, 0});
  CHECK(choice.chosen == Masks{1});
}

TEST_CASE("evenly spread uniforms give the probabilities as frequencies") {
  constexpr std::size_t kRows = 10'000;
  Floats logits;
  Uniforms uniforms;
  for (std::size_t i = 0; i < kRows; ++i) {
    logits.insert(logits.end(), {0.3F, -1.2F, 0.9F});
    uniforms.push_back((static_cast<double>(i) + 0.5) / static_cast<double>(kRows));
  }
  const Choice choice = choose(logits, Masks(kRows, 0), uniforms);
  std::array<int, 3> counts{};
  for (const std::uint8_t tier : choice.chosen) {
    ++counts.at(tier);
  }
  for (std::size_t tier = 0; tier < 3; ++tier) {
    const double expected = static_cast<double>(choice.probabilities[tier]) * kRows;
    CHECK(std::abs(counts.at(tier) - expected) <= 1.0);
  }
}

TEST_CASE("no rows and eight tiers are in order") {
  CHECK(choose({}, {}).chosen.empty());
  CHECK(choose({0, 1, 2, 3, 4, 5, 6, 7}, {0b10000000}, {}, 8).chosen == Masks{6});
}

TEST_CASE("bad input is named by its row, and nothing is written") {
  Floats probabilities(6, -1.0F);
  Masks chosen(2, 99);
  const auto field = [&](const Floats& logits, const Masks& masks, const Uniforms& uniforms = {},
                         std::size_t tiers = 3) {
    return field_of([&] { choose_tiers(logits, masks, tiers, uniforms, probabilities, chosen); });
  };
  CHECK(field({0, 0, 0, 0, kNan, 0}, {0, 0b010}) == "logits[1]");
  CHECK(field({0, 0, 0, 0, 0, 0}, {0, 0}, {0.5, 1.0}) == "uniforms[1]");
  CHECK(field({0, 0, 0, 0, 0, 0}, {0, 0}, {-0.1, 0.5}) == "uniforms[0]");
  CHECK(field({0, 0, 0, 0, 0, 0}, {0, 0}, {0.5}) == "uniforms");
  CHECK(field({0, 0, 0, 0, 0, 0}, {0}) == "masks");
  CHECK(field({0, 0, 0, 0, 0, 0}, {0, 0}, {}, 0) == "logits");
  CHECK(field(Floats(18), {0, 0}, {}, 9) == "logits");
  CHECK(field({0, 0, 0}, {0}) == "probabilities");
  CHECK(probabilities == Floats(6, -1.0F));
  CHECK(chosen == Masks{99, 99});
  chosen.pop_back();
  CHECK(field({0, 0, 0, 0, 0, 0}, {0, 0}) == "chosen");
}

}  // namespace
}  // namespace budgetmem
