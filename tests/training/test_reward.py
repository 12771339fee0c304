import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.errors import ConfigError, InvalidInput
from training.reward import FLOOR, PAPER_FLOOR, CostNormalizer, Reward, RewardAligner

COSTS = st.lists(st.floats(0, 1e-2), min_size=1, max_size=20)


def test_a_batch_joins_the_history_before_it_is_rewarded():
    # Square roots 1 to 5: p5 = 1.2, p95 = 4.8.
    rewards = CostNormalizer().rewards([1, 4, 9, 16, 25])
    assert rewards == pytest.approx([1, 1 - 0.8 / 3.6, 0.5, 1 - 2.8 / 3.6, 0])


def test_the_window_forgets_the_oldest():
    ours, short = CostNormalizer(window=3), CostNormalizer(window=3)
    ours.rewards([100, 81])
    ours.rewards([1, 4, 9])
    short.rewards([1, 4, 9])
    assert ours.span == short.span


def test_the_aligners_window_forgets_the_oldest():
    ours, short = RewardAligner(window=3), RewardAligner(window=3)
    ours.rewards([9, 7], [5, 1])
    ours.rewards([0, 0.5, 1], [1, 0, 1])
    short.rewards([0, 0.5, 1], [1, 0, 1])
    assert ours.state_dict() == short.state_dict()


@pytest.mark.parametrize("cost", [0.0, 1e-7, 0.01])
def test_chosen_difference_equal_costs_get_half_and_dearer_ones_less(cost):
    ours = CostNormalizer()
    assert ours.rewards([cost] * 3) == pytest.approx([0.5] * 3)
    assert ours.evaluate([cost * 1.02 + 1e-9])[0] < 0.5
    assert ours.evaluate([cost * 0.98])[0] > 0.5 or cost == 0


def test_in_paper_mode_equal_and_dearer_costs_get_nothing():
    paper = CostNormalizer(paper=True)
    assert paper.rewards([0.01] * 3).tolist() == [0, 0, 0]
    assert paper.evaluate([0.0102]).tolist() == [0]


def test_rounding_does_not_tell_equal_costs_apart():
    costs = np.full(50, 0.1 + 0.2) + np.arange(50) * 1e-17
    costs[::2] = 0.3
    assert CostNormalizer().rewards(costs) == pytest.approx(np.full(50, 0.5), abs=1e-6)


def test_chosen_difference_without_history_there_is_nothing_to_compare_with():
    with pytest.raises(InvalidInput, match="no history"):
        CostNormalizer().evaluate([0.1])
    assert CostNormalizer(paper=True).evaluate([0.01]) == pytest.approx([0.9])


def test_chosen_difference_a_negative_cost_is_an_error():
    ours = Reward()
    with pytest.raises(InvalidInput, match=r"costs_usd\[1\]: is -1e-06"):
        ours.rewards([1, 0], [0, -1e-6], [0, 0])
    assert ours.state_dict() == Reward().state_dict()
    assert CostNormalizer(paper=True).evaluate([-1.0]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("scores", "cost_rewards", "paper_factor"),
    [([0, 1, 0.5], [0.5] * 3, 1e-5 / np.std([0, 1, 0.5])), ([0.5] * 2, [0, 1], 0.5 / 1e-5)],
)
def test_chosen_difference_without_spread_nothing_is_scaled(scores, cost_rewards, paper_factor):
    ours = RewardAligner()
    assert ours.rewards(scores, cost_rewards).tolist() == scores
    paper = RewardAligner(floor=PAPER_FLOOR, paper=True)
    paper.rewards(scores, cost_rewards)
    assert paper.factor == pytest.approx(paper_factor)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_the_factor_is_bounded(pairs):
    ours = RewardAligner()
    ours.rewards(*zip(*pairs, strict=True))
    assert 2 * FLOOR - 1e-9 <= ours.factor <= 0.5 / FLOOR + 1e-9


def test_aligned_scores_have_the_spread_of_the_cost_rewards():
    random = np.random.default_rng(0)
    scores, cost_rewards = random.random(100) ** 3, random.random(100)
    aligned = RewardAligner().rewards(scores, cost_rewards)
    assert aligned.std() == pytest.approx(cost_rewards.std())


def test_the_reward_weighs_each_episode_by_its_own_lambda():
    scores, costs, weights = [0, 1, 0.5, 0.5], [1, 4, 9, 16], [0, 0.3, 0.9, 2]
    cost_rewards = CostNormalizer().rewards(costs)
    factor = np.std(cost_rewards) / np.std(scores)
    expected = np.array(scores) * factor + np.array(weights) * cost_rewards
    assert Reward().rewards(scores, costs, weights) == pytest.approx(expected)


def test_without_alignment_the_task_reward_is_the_score():
    scores, costs, weights = [0, 0.1, 0.2], [1, 4, 9], [0.5, 0.5, 0.5]
    ours = Reward(alignment=False)
    expected = np.array(scores) + 0.5 * CostNormalizer().rewards(costs)
    assert ours.rewards(scores, costs, weights) == pytest.approx(expected)
    assert ours.evaluate(scores, costs, weights) == pytest.approx(expected)


@pytest.mark.parametrize("alignment", [True, False])
def test_an_evaluation_adds_nothing_and_agrees_with_the_batch(alignment):
    ours = Reward(alignment=alignment)
    batch = ([0, 1, 0.5], [1e-4, 2e-4, 9e-4], [0, 0.3, 0.9])
    rewards = ours.rewards(*batch)
    before = ours.state_dict()
    ours.evaluate([0.3], [0.5], [0.1])
    assert ours.state_dict() == before
    assert ours.evaluate(*batch).tolist() == rewards.tolist()


@pytest.mark.parametrize("paper", [True, False])
@given(batches=st.lists(COSTS, min_size=2, max_size=5))
def test_a_state_through_json_goes_on_exactly(paper, batches):
    unbroken = Reward(paper=paper)
    *past, last = [([c * 50 for c in costs], costs, [0.3] * len(costs)) for costs in batches]
    for batch in past:
        unbroken.rewards(*batch)
    resumed = Reward(paper=paper)
    resumed.load_state_dict(json.loads(json.dumps(unbroken.state_dict())))
    assert resumed.rewards(*last).tolist() == unbroken.rewards(*last).tolist()
    assert resumed.state_dict() == unbroken.state_dict()


def test_a_state_is_not_shared_with_the_object():
    ours = Reward()
    ours.rewards([0, 1], [1, 2], [0, 0])
    state = ours.state_dict()
    ours.rewards([0, 1], [1, 2], [0, 0])
    assert len(state["aligner"]["scores"]) == len(state["normalizer"]["costs_usd"]) == 2


@given(COSTS)
def test_a_cheaper_episode_never_has_the_smaller_reward(costs):
    rewards = CostNormalizer().rewards(costs)
    assert ((rewards >= 0) & (rewards <= 1)).all()
    assert (np.diff(rewards[np.argsort(costs)]) <= 0).all()


def test_with_equal_costs_the_scores_stay_and_in_paper_mode_all_but_vanish():
    episodes = ([0, 1], [0.01, 0.01], [0, 0])
    assert Reward().rewards(*episodes).tolist() == [0, 1]
    assert Reward(paper=True).rewards(*episodes) == pytest.approx([0, 2e-5])


def test_no_episodes_no_rewards():
    assert Reward().rewards([], [], []).tolist() == []
    assert Reward().evaluate([], [], []).tolist() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([np.nan], [0.1], [0]), r"scores\[0\]: is nan: .* leave failures out"),
        (([1], [np.inf], [0]), r"costs_usd\[0\]: is inf"),
        (([1], [0.1], [-0.1]), r"cost_weights\[0\]: is -0.1: .* at least 0"),
        (([1, 1], [0.1], [0, 0]), "costs_usd: has 1 numbers for 2 scores"),
        (([1, 1], [0.1, 0.1], [0]), "cost_weights: has 1 numbers for 2 scores"),
        (([[1]], [0.1], [0]), r"scores: has shape \(1, 1\)"),
    ],
)
def test_bad_episodes_are_refused_and_leave_no_trace(arguments, message):
    ours = Reward()
    for method in (ours.rewards, ours.evaluate):
        with pytest.raises(InvalidInput, match=message):
            method(*arguments)
    assert ours.state_dict() == Reward().state_dict()


def test_aligner_lengths_must_agree():
    with pytest.raises(InvalidInput, match="cost_rewards: has 1 numbers for 2 scores"):
        RewardAligner().rewards([1, 1], [0.1])


def damaged(**changes):
    reward = Reward()
    reward.rewards([0, 1], [1e-4, 2e-4], [0, 0])
    state = reward.state_dict()
    for path, value in changes.items():
        part, _, name = path.partition("__")
        state[part] = {**state[part], name: value} if name else value
    return state


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({}, InvalidInput, "alignment: is missing"),
        (damaged(normalizer=None), InvalidInput, "normalizer: is missing"),
        (damaged(aligner={}), InvalidInput, "window: is missing"),
        (damaged(normalizer__costs_usd=None), InvalidInput, "costs_usd: is no list of numbers"),
        (damaged(normalizer__costs_usd=["1"]), InvalidInput, "costs_usd: is no list of numbers"),
        (damaged(normalizer__costs_usd=[-1]), InvalidInput, r"costs_usd\[0\]: is -1"),
        (damaged(normalizer__costs_usd=[1] * 2001), InvalidInput, "2001 entries for a window of"),
        (damaged(aligner__scores=[1]), InvalidInput, "cost_rewards: has 2 numbers for 1 scores"),
        (damaged(alignment=False), ConfigError, "alignment = False, this run True"),
        (damaged(normalizer__window=5), ConfigError, "window = 5, this run 2000"),
        (damaged(aligner__paper=True), ConfigError, "paper = True, this run False"),
        (damaged(aligner__floor=0.1), ConfigError, r"floor = 0.1, this run 0.05"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(state, error, message):
    ours = Reward()
    with pytest.raises(error, match=message):
        ours.load_state_dict(state)
    assert ours.state_dict() == Reward().state_dict()


@pytest.mark.parametrize("make", [CostNormalizer, RewardAligner])
def test_a_window_holds_something(make):
    with pytest.raises(ConfigError, match="window is 0"):
        make(0)


@pytest.mark.parametrize("floor", [0.0, -1.0, float("nan")])
def test_a_floor_is_above_zero(floor):
    with pytest.raises(ConfigError, match="floor is"):
        RewardAligner(floor=floor)
