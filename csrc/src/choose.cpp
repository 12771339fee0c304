#include <algorithm>
#include <array>
#include <cmath>

#include "budgetmem/decisions.hpp"
#include "require.hpp"

namespace budgetmem {
namespace {

constexpr std::size_t kMaxTiers = 8;  // the bits of a mask

bool masked(std::uint8_t mask, std::size_t tier) { return ((mask >> tier) & 1U) != 0; }

// The tier of the greatest logit that is not masked, the lowest of equals; `tiers` if all are.
std::size_t greatest(std::span<const float> logits, std::uint8_t mask) {
  std::size_t best = logits.size();
  for (std::size_t tier = 0; tier < logits.size(); ++tier) {
    if (!masked(mask, tier) && (best == logits.size() || logits[tier] > logits[best])) {
      best = tier;
    }
  }
  return best;
}

// Writes the softmax of one row of which tier `best` is the greatest. Logits that equal it, also
// infinite ones, weigh 1; nothing overflows.
void softmax(std::span<const float> logits, std::uint8_t mask, std::size_t best,
             std::span<float> probabilities) {
  std::array<double, kMaxTiers> weights{};
  double total = 0.0;
  for (std::size_t tier = 0; tier < logits.size(); ++tier) {
    if (!masked(mask, tier)) {
      const bool equal = logits[tier] == logits[best];
      weights[tier] = equal ? 1.0 : std::exp(static_cast<double>(logits[tier]) - logits[best]);
      total += weights[tier];
    }
  }
  std::ranges::transform(std::span(weights).first(logits.size()), probabilities.begin(),
                         [total](double weight) { return static_cast<float>(weight / total); });
}

// The first tier at which the running sum passes `uniform`. Where rounding keeps the sum of all
// below it, the last tier that can be chosen at all. It reads the floats that callers are given: a
// probability that is 0 there must not be chosen.
std::size_t invert(std::span<const float> probabilities, double uniform) {
  double sum = 0.0;
  std::size_t last = 0;
  for (std::size_t tier = 0; tier < probabilities.size(); ++tier) {
    if (probabilities[tier] > 0.0F) {
      last = tier;
      sum += probabilities[tier];
      if (uniform < sum) {
        break;
      }
    }
  }
  return last;
}

}  // namespace

void choose_tiers(std::span<const float> logits, std::span<const std::uint8_t> masks,
                  std::size_t tiers, std::span<const double> uniforms,
                  std::span<float> probabilities, std::span<std::uint8_t> chosen) {
  const std::size_t rows = masks.size();
  require(tiers > 0 && tiers <= kMaxTiers, "logits", "must be of 1 to 8 tiers");
  require(logits.size() == rows * tiers, "masks", "must be one a row of logits");
  require(uniforms.empty() || uniforms.size() == rows, "uniforms", "must be one a row of logits");
  require(probabilities.size() == logits.size(), "probabilities", "must be as many as the logits");
  require(chosen.size() == rows, "chosen", "must be one a row of logits");
  require_rows(
      logits, tiers, [](float logit) { return !std::isnan(logit); }, "logits", "must not be NaN");
  require_rows(
      uniforms, 1, [](double uniform) { return uniform >= 0.0 && uniform < 1.0; }, "uniforms",
      "must be in [0, 1)");
  for (std::size_t row = 0; row < rows; ++row) {
    const auto row_logits = logits.subspan(row * tiers, tiers);
    const auto row_probabilities = probabilities.subspan(row * tiers, tiers);
    const std::size_t best = greatest(row_logits, masks[row]);
    if (best == tiers) {  // all masked
      std::ranges::fill(row_probabilities, 0.0F);
      row_probabilities[0] = 1.0F;
      chosen[row] = 0;
    } else {
      softmax(row_logits, masks[row], best, row_probabilities);
      chosen[row] = static_cast<std::uint8_t>(
          uniforms.empty() ? best : invert(row_probabilities, uniforms[row]));
    }
  }
}

}  // namespace budgetmem
