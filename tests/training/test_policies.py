import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training.policies import CLIP, ConditionedPolicy, Observation, PolicyShape

SHAPE = PolicyShape(dimension=4, features=3, projection=4, hidden=8)
WEIGHTS = st.floats(0, 10, width=32)


def a_policy(seed: int, shape: PolicyShape = SHAPE, spread: float = 1.0) -> ConditionedPolicy:
    """As after a long training: with weights of any size."""
    torch.manual_seed(seed)
    policy = ConditionedPolicy(shape)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.normal_(std=spread)
    return policy.eval()


def some_states(seed: int, count: int) -> Observation:
    random = torch.Generator().manual_seed(seed)
    return Observation(
        query=torch.randn(count, 4, generator=random),
        state=torch.randn(count, 4, generator=random),
        features=torch.randn(count, 3, generator=random),
        module=torch.arange(count) % 5,
        cost_weight=torch.zeros(count),
    )


def logits_at(policy: ConditionedPolicy, seen: Observation, cost_weight: float) -> Tensor:
    lambdas = torch.full_like(seen.cost_weight, cost_weight)
    with torch.no_grad():
        return policy(seen.query, seen.state, seen.features, seen.module, lambdas)


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.sampled_from([0.1, 1.0, 5.0]), WEIGHTS, WEIGHTS)
def test_a_larger_lambda_never_favours_a_dearer_tier(
    seed: int, spread: float, one: float, other: float
):
    policy, seen = a_policy(seed, spread=spread), some_states(seed, 10)
    before = logits_at(policy, seen, min(one, other))
    after = logits_at(policy, seen, max(one, other))
    rounding = 1e-6 * (1 + before.abs().max() + after.abs().max())
    for cheap, dear in ((0, 1), (1, 2), (0, 2)):
        odds_before = before[:, dear] - before[:, cheap]
        odds_after = after[:, dear] - after[:, cheap]
        assert bool((odds_after <= odds_before + rounding).all())


def test_a_large_lambda_chooses_low():
    assert not logits_at(a_policy(1), some_states(1, 10), 1e6).argmax(1).any()


def test_the_parts_and_the_whole_agree():
    policy, seen = a_policy(2), some_states(2, 10)
    with torch.no_grad():
        logits, values = policy.evaluate(seen)
    assert torch.equal(logits, logits_at(policy, seen, 0.0))
    assert values.shape == (10,)
    one = Observation.join([seen.rows(torch.tensor([3])), seen.rows(torch.tensor([7]))])
    with torch.no_grad():
        torch.testing.assert_close(policy.evaluate(one)[1], values[[3, 7]])


def test_each_module_has_its_own_head():
    policy, seen = a_policy(3), some_states(3, 1)
    both = Observation.join([seen, seen])
    both = Observation(
        both.query, both.state, both.features, torch.tensor([0, 4]), both.cost_weight
    )
    first, last = logits_at(policy, both, 0.5)
    assert not torch.allclose(first, last)


@settings(max_examples=50)
@given(
    st.lists(st.floats(-1000, 1000, width=32), min_size=2, max_size=50),
    st.floats(-1000, 1000, width=32),
)
def test_constant_features_say_nothing(varied: list[float], constant: float):
    policy = ConditionedPolicy(PolicyShape(dimension=4, features=2))
    rows = torch.tensor([[value, constant] for value in varied])
    policy.standardise(rows)
    assert bool((policy.scale > 0).all())
    standardised = (rows - policy.mean) / policy.scale
    assert bool(standardised.isfinite().all())
    assert float(standardised[:, 1].abs().max()) < 1e-3


def test_one_row_is_enough_to_standardise():
    policy = ConditionedPolicy(PolicyShape(dimension=4, features=2))
    policy.standardise(torch.tensor([[3.0, 7.0]]))
    assert policy.mean.tolist() == [3.0, 7.0]
    assert policy.scale.tolist() == [1.0, 1.0]


def test_features_far_outside_are_cut():
    policy, seen = a_policy(4), some_states(4, 2)
    features = torch.tensor([[CLIP] * 3, [1e9] * 3])
    seen = Observation(
        seen.query[:1].repeat(2, 1),
        seen.state[:1].repeat(2, 1),
        features,
        torch.zeros(2, dtype=torch.int64),
        seen.cost_weight,
    )
    same, far = logits_at(policy, seen, 0.3)
    torch.testing.assert_close(same, far)


@pytest.mark.parametrize("embeddings", [True, False])
def test_embeddings_can_be_left_out(embeddings: bool):
    shape = PolicyShape(dimension=4, features=3, projection=4, hidden=8, embeddings=embeddings)
    policy, seen = a_policy(5, shape), some_states(5, 6)
    other = Observation(seen.query + 1, seen.state, seen.features, seen.module, seen.cost_weight)
    assert torch.equal(logits_at(policy, seen, 0.1), logits_at(policy, other, 0.1)) != embeddings


def test_a_blind_policy_sees_lambda_and_the_module_alone():
    shape = PolicyShape(dimension=4, features=3, projection=4, hidden=8, blind=True)
    policy, seen = a_policy(5, shape), some_states(5, 6)
    other = Observation(
        seen.query + 1, seen.state - 1, seen.features * 2 + 1, seen.module, seen.cost_weight
    )
    assert torch.equal(logits_at(policy, seen, 0.1), logits_at(policy, other, 0.1))
    assert not torch.equal(logits_at(policy, seen, 0.1), logits_at(policy, seen, 0.9))
