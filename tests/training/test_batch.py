import pytest
import torch

from tests.training.test_actor_critic import assert_near, needs_reference, reference
from training.batch import Batch, normalised, returns_and_advantages
from training.policies import Observation


def weighted(buffer: dict, kwargs: dict) -> torch.Tensor:
    """The reference sums reward and cost reward where it computes returns; we do before."""
    reward, cost = torch.tensor(buffer["reward"]), torch.tensor(buffer["cost"])
    return kwargs.pop("reward_weight", 1.0) * reward + kwargs.pop("cost_weight", 0.0) * cost


@pytest.mark.shared
@needs_reference
def test_parity_of_returns_and_advantages():
    figures = reference()
    cases = figures["returns_and_advantages"]
    for case in cases[:-1]:
        kwargs, done = dict(case["kwargs"]), torch.tensor(case["done"])
        rewards = weighted(figures["buffer"], kwargs)[: len(done)]
        values = torch.tensor(figures["buffer"]["value"])[: len(done)]
        scale = normalised if kwargs.pop("normalize_advantages", True) else torch.clone
        returns, advantages = returns_and_advantages(rewards, values, done, **kwargs)
        assert_near(returns, case["returns"], 1e-6)
        assert_near(scale(advantages), case["advantages"], 1e-6)
    assert cases[-1]["label"].startswith("constant")
    assert_near(normalised(torch.full((3,), 0.7)), cases[-1]["advantages"])


def test_chosen_episodes_keep_what_is_theirs():
    modules, count = 3, 4
    own = torch.arange(modules * count).view(modules, count)  # a number for each decision
    rows = own.flatten().float().unsqueeze(1)
    batch = Batch(
        seen=Observation(rows, rows, rows, own.flatten(), own.flatten().float()),
        masked=own.unsqueeze(2) == torch.tensor([1, 6, 11]),
        tiers=own,
        log_probs=own.float(),
        values=own[:1].float(),
        returns=own[:1].float(),
        advantages=own.float(),
    )
    some = batch.episodes(torch.tensor([2, 0]))
    expected = own[:, [2, 0]]
    assert torch.equal(some.tiers, expected)
    assert torch.equal(some.seen.module, expected.flatten())
    assert torch.equal(some.seen.state.flatten(), expected.flatten().float())
    assert torch.equal(some.masked, batch.masked[:, [2, 0]])
    assert some.masked.any()
    assert torch.equal(some.log_probs, expected.float())
    assert torch.equal(some.advantages, expected.float())
    assert some.values.tolist() == some.returns.tolist() == [[2.0, 0.0]]
