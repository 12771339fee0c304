"""Updates in the paper's mode come to what the reference implementation's come to."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.test_actor_critic import (
    assert_near,
    by_module,
    needs_reference,
    reference,
    reference_network,
    reference_seen,
)
from tests.training.test_batch import weighted
from training.batch import Batch, normalised, returns_and_advantages
from training.ppo import PAPER, PPO
from training.rollouts.environment import Episodes

NAMES = {
    "lr": "learning_rate",
    "clip_epsilon": "clip",
    "max_grad_norm": "max_grad_norm",
    "ppo_epochs": "epochs",
    "entropy_coef": "entropy_coefficient",
    "value_loss_coef": "value_coefficient",
}
NOT_OURS = {"num_updates", "avg_cost"}
"""Metrics of the reference that count what the caller knows."""


@pytest.mark.shared
@needs_reference
@pytest.mark.parametrize("place", range(5))
def test_parity_of_updates(place: int):
    figures = reference()
    run, buffer = figures["runs"][place], figures["buffer"]
    chaotic = "large step" in run["label"]
    if chaotic and torch.__version__.split("+")[0] != figures["versions"]["torch"].split("+")[0]:
        pytest.skip("this run is chaotic: the same torch only")
    kwargs = dict(run["trainer_kwargs"])
    rewards, values = weighted(buffer, kwargs), torch.tensor(buffer["value"])
    config = replace(PAPER, **{NAMES[name]: value for name, value in kwargs.items()})
    config = replace(config, value_clip=config.clip)
    mixed = next(c["done"] for c in figures["returns_and_advantages"] if "mixed" in c["label"])
    done = torch.tensor(mixed if "mixed" in run["label"] else [True] * 8)
    returns, advantages = returns_and_advantages(rewards, values, done)

    policy = reference_network()
    ppo = PPO(policy, config, torch.Generator())
    batch = Batch(
        seen=reference_seen(figures["inputs"]),
        masked=torch.zeros(5, 8, 3, dtype=torch.bool),
        tiers=torch.tensor(buffer["actions"]).T,
        log_probs=torch.tensor(buffer["log_probs"]).T,
        values=values.unsqueeze(0),
        returns=returns.unsqueeze(0),
        advantages=normalised(advantages).unsqueeze(0),
    )
    for metrics in run["metrics"]:
        given = ppo.learn(batch)
        assert given.keys() == metrics.keys() - NOT_OURS
        for name, value in given.items():
            tolerance = {"rel": 0.05} if chaotic else {"abs": 1e-4}
            assert value == pytest.approx(metrics[name], **tolerance), name
    norm = torch.cat([weight.detach().flatten() for weight in policy.parameters()]).norm()
    assert norm.item() == pytest.approx(run["total_norm_after"], abs=1e-3 if chaotic else 1e-4)

    if place == 0:
        after = reference_network("after")
        for name, weight in policy.state_dict().items():
            assert_near(weight, after.state_dict()[name], 1e-4)
        with torch.no_grad():
            logits, new = policy.evaluate(batch.seen)
        assert_near(logits.view(5, 8, 3), by_module(run["logits_after"]), 1e-4)
        assert_near(new[:8], run["value_after"], 1e-4)


@pytest.mark.shared
@needs_reference
def test_the_paper_s_mode_from_episodes():
    """`update` comes to what `learn` does when the reference's figures are put in by hand."""
    figures = reference()
    buffer, run = figures["buffer"], figures["runs"][0]
    policy = reference_network()
    values = torch.rand(5, 8)  # of the other modules: they must not matter
    values[0] = torch.tensor(buffer["value"])
    episodes = Episodes(
        seen=reference_seen(figures["inputs"]),
        masked=torch.zeros(5, 8, 3, dtype=torch.bool),
        tiers=torch.tensor(buffer["actions"]).T,
        scores=np.array(buffer["reward"]),
        costs=np.array(buffer["cost"]),
        cost_weights=np.full(8, 0.5),
    )
    given = PPO(policy, PAPER, torch.Generator()).update(
        episodes,
        torch.tensor(buffer["log_probs"]).T,
        values,
        torch.from_numpy(episodes.scores + 0.5 * episodes.costs),
    )
    for name, value in given.items():
        assert value == pytest.approx(run["metrics"][0][name], abs=1e-4), name
