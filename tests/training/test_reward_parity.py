import json
from pathlib import Path

import numpy as np
import pytest

from training.reward import PAPER_FLOOR, CostNormalizer, Reward, RewardAligner

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors"
needs_vectors = pytest.mark.skipif(not VECTORS.exists(), reason="../shared/vectors is not here")

# In align.json, but of no formula of the method, and so not built: the `f1_normalizer_window_50`
# (an unused normaliser of scores), and the placeholders that `stats_after` has for one sample.
ONE_SAMPLE_STATS = ("f1_std", "cost_std", "scale_ratio")
SINGLE_FLOOR = 1e-3
"""The floor of the reference's single-sample form and of its statistics."""


def vectors(name):
    return json.loads((VECTORS / name).read_text())


def exactly(expected):
    return pytest.approx(expected, abs=1e-12, rel=0)


def closely(expected):
    return pytest.approx(expected, rel=1e-9, abs=0)


def aligner_with(scores, cost_rewards, floor=PAPER_FLOOR):
    aligner = RewardAligner(floor=floor, paper=True)
    aligner.rewards(scores, cost_rewards)
    return aligner


@pytest.mark.shared
@needs_vectors
def test_parity_of_cost_rewards_with_the_reference_implementation():
    reference = vectors("cost_normalizer.json")
    ours = CostNormalizer(window=reference["window_of_global_normalizer"], paper=True)
    before = reference["before_any_history"]
    assert ours.evaluate(before["raw_costs"]) == exactly(before["efficiency"])
    assert ours.rewards([]).tolist() == reference["empty_batch"]
    for step in reference["steps"]:
        assert ours.rewards(step["raw_costs"]) == exactly(step["efficiency"])
        held, stats = ours.state_dict()["costs_usd"], step["stats_after"]
        assert len(held) == stats["count"]
        assert (min(held), max(held)) == (stats["cost_min"], stats["cost_max"])
        assert ours.span == exactly((stats["sqrt_cost_min"], stats["sqrt_cost_max"]))
    after = reference["after_all_steps"]
    assert ours.evaluate(after["probe"]) == exactly(after["efficiency_no_history"])
    assert 1 - ours.evaluate(after["probe"]) == exactly(after["normalize_cost_no_history"])
    assert len(ours.state_dict()["costs_usd"]) == after["count_unchanged"]


@pytest.mark.shared
@needs_vectors
def test_parity_of_a_small_and_of_an_empty_window_with_the_reference_implementation():
    reference = vectors("cost_normalizer.json")
    ours = CostNormalizer(window=5, paper=True)
    empty = reference["empty_normalizer"]
    expected = [empty["normalize_0.25"], empty["normalize_4"]]
    assert 1 - ours.evaluate([0.25, 4]) == exactly(expected)
    for step in reference["small_window_5"]:
        same = 1 - ours.rewards([step["add"]])
        assert ours.span == exactly((step["sqrt_min"], step["sqrt_max"]))
        assert 1 - ours.evaluate([2.25]) == exactly([step["normalize_2.25"]])
        assert same == exactly([step["normalize_same"]])


@pytest.mark.shared
@needs_vectors
def test_parity_of_aligned_rewards_with_the_reference_implementation():
    batches = vectors("cost_normalizer.json")["steps"]
    ours = RewardAligner(floor=PAPER_FLOOR, paper=True)
    statistics = RewardAligner(floor=SINGLE_FLOOR, paper=True)
    for step, batch in zip(vectors("align.json")["steps"], batches, strict=True):
        scores, cost_rewards = step["f1_rewards"], batch["efficiency"]
        assert ours.rewards(scores, cost_rewards) == closely(step["scaled_rewards"])
        if step["scale_factor"] is not None:
            assert ours.factor == closely(step["scale_factor"])
        statistics.rewards(scores, cost_rewards)
        held = statistics.state_dict()
        computed = {
            "count": len(held["scores"]),
            "f1_mean": np.mean(held["scores"]),
            "f1_std": np.std(held["scores"]),
            "cost_mean": np.mean(held["cost_rewards"]),
            "cost_std": np.std(held["cost_rewards"]),
            "scale_ratio": statistics.factor,
        }
        hidden = ONE_SAMPLE_STATS if step["stats_after"]["count"] == 1 else ()
        expected = {k: v for k, v in step["stats_after"].items() if k not in hidden}
        assert {k: computed[k] for k in expected} == closely(expected)


@pytest.mark.shared
@needs_vectors
def test_parity_of_separate_aligner_calls_with_the_reference_implementation():
    reference = vectors("align.json")
    ours = RewardAligner(floor=PAPER_FLOOR, paper=True)
    for call in reference["calls_from_fresh_state_in_order"]:
        given = call["kwargs"]
        scores, cost_rewards = given["f1_rewards"], given["costs"]
        custom = "historical_f1_rewards" in given and "historical_costs" in given
        if custom:
            past = aligner_with(given["historical_f1_rewards"], given["historical_costs"])
            scaled = past.rewards(scores, cost_rewards)
        elif "historical_f1_rewards" in given or not given.get("add_to_global_history", True):
            scaled = ours.evaluate(scores)
        else:
            scaled = ours.rewards(scores, cost_rewards)
        # Their target scale is one more factor; ours is lambda, which weighs the same against it.
        scaled = scaled * given.get("target_reward_scale", 1.0)
        assert scaled == closely(call["scaled_rewards"]), call["label"]
        assert len(ours.state_dict()["scores"]) == call["history_count_after"], call["label"]
    held = ours.state_dict()
    for call in reference["align_reward_cost_scales_single"]:
        given = call["kwargs"]
        past = aligner_with(
            given.get("historical_f1_rewards", held["scores"]),
            given.get("historical_costs", held["cost_rewards"]),
            SINGLE_FLOOR,
        )
        scaled = past.evaluate([given["f1_reward"]]) * given.get("target_reward_scale", 1.0)
        assert scaled == closely([call["scaled_reward"]])


@pytest.mark.shared
@needs_vectors
@pytest.mark.parametrize("alignment", [True, False])
def test_parity_of_the_whole_reward_with_the_reference_implementation(alignment):
    ours = Reward(alignment=alignment, paper=True)
    steps = zip(
        vectors("cost_normalizer.json")["steps"], vectors("align.json")["steps"], strict=True
    )
    for costs, aligned in steps:
        scores = aligned["f1_rewards"]
        weights = np.linspace(0, 0.9, len(scores))
        task = np.array(aligned["scaled_rewards"] if alignment else scores)
        expected = task + weights * np.array(costs["efficiency"])
        assert ours.rewards(scores, costs["raw_costs"], weights) == pytest.approx(
            expected, rel=1e-9
        )
