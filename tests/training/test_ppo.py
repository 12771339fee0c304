from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from budgetmem.errors import ConfigError, InvalidInput
from training.environment import Embedded, Episodes, RecordedEnvironment
from training.outcomes import Leaf, Node, OutcomeFile, Outcomes
from training.paths import LETTERS
from training.policies import ConditionedPolicy, Observation, PolicyShape
from training.ppo import PAPER, PPO, PPOConfig, behaviour, greedy, sample

# A toy: half of the questions are hard. An easy one is answered right at any tier; of a hard one
# each module adds a fifth of the score at High, a tenth at Mid. A tier costs 0, 0.1 or 0.2.

SHARE = (0.0, 0.1, 0.2)
CHEAP, DEAR = 0.2, 3.0
"""At the first lambda High pays for hard questions, at the second it does not."""


def toy(questions: int = 12) -> RecordedEnvironment:
    outcomes = []
    for number in range(questions):
        hard = number % 2 == 1
        node = Node(features=(float(hard), 1.0), chunks=("chunk",))
        names = (
            "".join(letters) for depth in (0, 1, 4) for letters in product(LETTERS, repeat=depth)
        )
        spent = {
            "".join(letters): sum(SHARE[LETTERS.index(letter)] for letter in letters)
            for letters in product(LETTERS, repeat=5)
        }
        outcomes.append(
            Outcomes(
                question=f"question {number}",
                history="history",
                category="hard" if hard else "easy",
                nodes=dict.fromkeys(names, node),
                leaves={
                    path: Leaf(share if hard else 1.0, (share,), 10)
                    for path, share in spent.items()
                },
                recall={},
            )
        )
    unit = np.eye(4, dtype=np.float32)
    vectors = Embedded({each.question: unit[0] for each in outcomes}, {"chunk": unit[1]})
    return RecordedEnvironment(OutcomeFile({}, ("hard", "constant"), tuple(outcomes)), vectors)


def a_policy(environment: RecordedEnvironment, seed: int = 0) -> ConditionedPolicy:
    torch.manual_seed(seed)
    policy = ConditionedPolicy(
        PolicyShape(environment.dimension, environment.features.shape[1], projection=4, hidden=16)
    )
    policy.standardise(environment.features)
    return policy.eval()


def a_walk(
    environment: RecordedEnvironment, policy: ConditionedPolicy, seed: int, count: int = 32
) -> tuple[Episodes, torch.Tensor]:
    """Episodes of random questions and lambdas, and their rewards."""
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    places = random.integers(len(environment.questions), size=count)
    weights = random.choice([CHEAP, DEAR], count)

    def choose(seen: Observation, masked: torch.Tensor) -> torch.Tensor:
        return sample(policy, seen, masked, generator)[0]

    episodes = environment.walk(places, weights, choose, random)
    return episodes, torch.from_numpy(episodes.scores - weights * episodes.costs)


def tuned(**changes: object) -> PPOConfig:
    return replace(PPOConfig(learning_rate=0.01, minibatch=16), **changes)


@pytest.mark.parametrize("changes", [{}, {"ratio": "joint", "value_clip": 0.2, "target_kl": 0.1}])
def test_learns_which_question_deserves_what_at_which_lambda(changes: dict):
    torch.set_num_threads(1)
    environment = toy()
    policy = a_policy(environment)
    ppo = PPO(policy, tuned(**changes), torch.Generator().manual_seed(0))
    for update in range(60):
        episodes, rewards = a_walk(environment, policy, update)
        metrics = ppo.update(episodes, *behaviour(policy, episodes), rewards)
    assert metrics["explained_variance"] > 0.5

    everything = np.arange(len(environment.questions))
    hard = torch.from_numpy(everything % 2 == 1)
    for cost_weight, best in ((CHEAP, 0.9), (DEAR, 0.5)):
        weights = np.full(len(everything), cost_weight)
        walked = environment.walk(
            everything, weights, partial(greedy, policy), np.random.default_rng(0)
        )
        reward = float((walked.scores - cost_weight * walked.costs).mean())
        assert reward == pytest.approx(best, abs=0.03)
        assert float(walked.tiers[:, ~hard].float().mean()) < 0.1
    assert not walked.tiers.any()


def test_goes_on_exactly_where_its_state_was_taken():
    environment = toy(4)
    policies = [a_policy(environment), a_policy(environment, seed=1)]
    # With dropout and shuffled minibatches: both come from the generator.
    first, second = (
        PPO(policy, tuned(), torch.Generator().manual_seed(seed))
        for seed, policy in enumerate(policies)
    )

    def learn(ppo: PPO, policy: ConditionedPolicy, seed: int) -> dict[str, float]:
        episodes, rewards = a_walk(environment, policy, seed)
        torch.rand(seed + len(policies))  # what others draw must not matter
        return ppo.update(episodes, *behaviour(policy, episodes), rewards)

    learn(first, policies[0], 0)
    second.load_state_dict(first.state_dict())
    policies[1].load_state_dict(policies[0].state_dict())
    # One after the other: the first must not change what the second was given.
    assert learn(first, policies[0], 1) == learn(second, policies[1], 1)
    for one, other in zip(*(policy.parameters() for policy in policies), strict=True):
        assert torch.equal(one, other)


def test_a_state_that_was_taken_or_given_stays_as_it_was():
    environment = toy(2)
    policy = a_policy(environment)
    ppo = PPO(policy, tuned(), torch.Generator())
    episodes, rewards = a_walk(environment, policy, 0)

    def learn() -> float:
        ppo.update(episodes, *behaviour(policy, episodes), rewards)
        return next(iter(ppo.optimizer.state.values()))["exp_avg"].norm().item()

    held = learn()
    state = ppo.state_dict()
    moment = state["optimizer"]["state"][next(iter(state["optimizer"]["state"]))]["exp_avg"]
    assert learn() != held
    assert moment.norm().item() == held
    ppo.load_state_dict(state)
    assert learn() != held
    assert moment.norm().item() == held


def test_a_joint_ratio_has_the_advantage_of_the_first_decision():
    environment = toy(2)
    episodes, rewards = a_walk(environment, a_policy(environment), 0)

    def policy_loss(values: torch.Tensor) -> float:
        policy = a_policy(environment)
        log_probs, _ = behaviour(policy, episodes)
        config = tuned(ratio="joint", epochs=1, minibatch=None, normalise=False)
        ppo = PPO(policy, config, torch.Generator())
        return ppo.update(episodes, log_probs, values, rewards)["policy_loss"]

    values = torch.zeros(5, 32)
    expected = policy_loss(values)
    assert expected == pytest.approx(-rewards.mean().item(), abs=1e-3)
    values[1:] = 7.0
    assert policy_loss(values) == pytest.approx(expected)


def test_an_update_leaves_the_random_numbers_of_others_alone():
    environment = toy(4)
    policy = a_policy(environment)
    episodes, rewards = a_walk(environment, policy, 0)
    before = torch.get_rng_state()
    PPO(policy, tuned(), torch.Generator()).update(episodes, *behaviour(policy, episodes), rewards)
    assert torch.equal(torch.get_rng_state(), before)
    assert not policy.training


def test_refuses_a_state_that_does_not_fit():
    environment = toy(2)
    ppo = PPO(a_policy(environment), tuned(), torch.Generator())
    with pytest.raises(InvalidInput, match="generator"):
        ppo.load_state_dict({"optimizer": ppo.optimizer.state_dict()})
    other = PPO(torch.nn.Linear(2, 2), tuned(), torch.Generator())
    with pytest.raises(InvalidInput, match="another policy"):
        ppo.load_state_dict(other.state_dict())


def test_no_episodes_no_update():
    environment = toy(2)
    policy = a_policy(environment)
    episodes, rewards = a_walk(environment, policy, 0, count=1)
    ppo = PPO(policy, tuned(), torch.Generator())
    nothing = replace(
        episodes,
        seen=episodes.seen.rows(torch.arange(0)),
        masked=episodes.masked[:, :0],
        tiers=episodes.tiers[:, :0],
    )
    assert ppo.update(nothing, torch.zeros(5, 0), torch.zeros(5, 0), torch.zeros(0)) == {}
    # One episode is enough, though nothing can be normalised in the paper's mode.
    for config in (tuned(), PAPER):
        single = PPO(policy, config, torch.Generator())
        metrics = single.update(episodes, *behaviour(policy, episodes), rewards)
        assert all(np.isfinite(value) for value in metrics.values())


def test_refuses_figures_that_do_not_fit_the_episodes():
    environment = toy(2)
    policy = a_policy(environment)
    episodes, rewards = a_walk(environment, policy, 0, count=3)
    log_probs, values = behaviour(policy, episodes)
    ppo = PPO(policy, tuned(), torch.Generator())
    with pytest.raises(InvalidInput, match=r"values: has shape \[1, 3\] where \[5, 3\] is due"):
        ppo.update(episodes, log_probs, values[:1], rewards)
    with pytest.raises(InvalidInput, match="rewards: must be finite"):
        ppo.update(episodes, log_probs, values, rewards * torch.nan)
    with pytest.raises(InvalidInput, match="leave one"):
        greedy(policy, episodes.seen, torch.ones(15, 3, dtype=torch.bool))


def test_stops_when_it_went_too_far():
    environment = toy(4)
    policy = a_policy(environment)
    episodes, rewards = a_walk(environment, policy, 0)
    figures = (episodes, *behaviour(policy, episodes), rewards)
    state = {name: weight.clone() for name, weight in policy.state_dict().items()}

    def steps(**changes: object) -> int:
        policy.load_state_dict(state)
        ppo = PPO(policy, tuned(epochs=6, **changes), torch.Generator())
        ppo.update(*figures)
        return int(next(iter(ppo.optimizer.state.values()))["step"])

    assert steps() == steps(target_kl=100.0) == 12
    assert steps(target_kl=1e-9) == 2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.data())
def test_masked_tiers_are_neither_taken_nor_learned_from(seed: int, data: st.DataObject):
    environment = toy(2)
    policy = a_policy(environment, seed)
    with torch.no_grad():
        policy.base.bias.normal_(std=3.0)
    open_tiers = st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True)
    episodes, rewards = a_walk(environment, policy, seed, count=4)
    masked = torch.ones(20, 3, dtype=torch.bool)
    for row in range(20):
        masked[row, data.draw(open_tiers)] = False
    generator = torch.Generator().manual_seed(seed)
    tiers, log_probs, values = sample(policy, episodes.seen, masked, generator)
    best = greedy(policy, episodes.seen, masked)
    rows = torch.arange(20)
    assert not masked[rows, tiers].any()
    assert not masked[rows, best].any()

    masked_walk = replace(episodes, masked=masked.view(5, 4, 3), tiers=tiers.view(5, 4))
    again, estimates = behaviour(policy, masked_walk)
    torch.testing.assert_close(again.flatten(), log_probs)
    torch.testing.assert_close(estimates.flatten(), values)
    metrics = PPO(policy, tuned(), generator).update(masked_walk, again, estimates, rewards)
    allowed = (~masked).sum(1).double().log().mean().item()
    assert -1e-6 <= metrics["entropy"] <= allowed + 1e-6
    assert all(bool(weight.isfinite().all()) for weight in policy.parameters())


def test_samples_as_often_as_probable():
    environment = toy(2)
    policy = a_policy(environment)
    with torch.no_grad():
        policy.base.bias.copy_(torch.tensor([0.0, 1.0, 2.0]).repeat(5))
    episodes, _ = a_walk(environment, policy, 0, count=1)
    seen = episodes.seen.rows(torch.zeros(4000, dtype=torch.int64))
    seen = replace(seen, cost_weight=torch.zeros(4000))
    masked = torch.tensor([False, True, False]).expand(4000, 3)
    tiers, log_probs, _ = sample(policy, seen, masked, torch.Generator().manual_seed(0))
    share = (tiers == 2).double().mean().item()
    assert log_probs[tiers == 2][0].exp().item() == pytest.approx(share, abs=0.03)
    assert share > 0.7


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0.0},
        {"clip": float("nan")},
        {"epochs": 0},
        {"minibatch": 0},
        {"value_clip": -0.1},
        {"entropy_coefficient": -1.0},
        {"ratio": "both"},
        {"critic": "summary"},
    ],
)
def test_refuses_a_configuration_that_cannot_work(changes: dict):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        PPOConfig(**changes)
