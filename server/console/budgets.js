// Budgets, as the API wants them.

import { shown } from "./numbers.js";

export const TIERS = ["TIER_LOW", "TIER_MID", "TIER_HIGH"];
const number = (text) => (text === "" ? undefined : Number(text));

// What of a form was given; what was not is left out, and the server's default holds.
export function budgetOf({ weight, usd, ms }) {
  return { costWeight: number(weight), maxCostUsd: number(usd), maxLatencyMs: number(ms) };
}

// Three budgets for one question, from the cheapest to the dearest: cost weights where the
// strategy's router has learned them, else one tier for every module.
export function threeBudgets(weights, ceilings) {
  if (!weights) return TIERS.map((tier) => ({ name: `all ${tierName(tier)}`, budget: { ...ceilings, costWeight: undefined, tier } }));
  const { min, max } = weights;
  return [max, (min + max) / 2, min].map((costWeight) => ({
    name: `λ = ${shown(costWeight)}`,
    budget: { ...ceilings, costWeight },
  }));
}

export const tierName = (tier) => ({ TIER_LOW: "Low", TIER_MID: "Mid", TIER_HIGH: "High" })[tier] ?? tier;
