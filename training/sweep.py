"""A policy for each lambda of the paper, one for all of them, and a blind one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from time import perf_counter

from rich.console import Console

from budgetmem.errors import ConfigError
from training import checkpoints
from training.config import TrainConfig
from training.evaluation import Walked, best_constant, constant, evaluate, oracle, random_path
from training.neighbours import fitted
from training.policies import ConditionedPolicy
from training.ppo import Policy
from training.progress import table
from training.reporting.arm_names import BLIND
from training.reward import PAPER_COST_WEIGHTS, Reward
from training.rollouts.paths import UNIFORM, spell
from training.splits import Splits
from training.statistics import spearman

SWEEP = "sweep.json"

Train = Callable[[TrainConfig, Splits, Console], ConditionedPolicy]


def sweep(config: TrainConfig, splits: Splits, console: Console, train: Train) -> None:
    """Trains them all in folders of `config.out`, shows a table, and writes sweep.json there.

    What was trained before is not trained again. All results are of the validation questions, by
    one and the same reward; those of the policy of all lambdas at `config.selection`. Raises
    ConfigError if `config` has a single lambda only.
    """
    if len(set(config.cost_weights)) == 1:
        raise ConfigError("--sweep trains for single lambdas itself: leave out --cost-weight")
    started = perf_counter()
    scales = splits.yardstick(config)
    fixed: list[Walked] = []
    for weight in PAPER_COST_WEIGHTS:
        name = f"lambda-{weight:g}"
        alone = {"cost_weights": (weight,), "cost_weight_draw": "each", "out": config.out / name}
        policy = train(config.model_copy(update=alone), splits, console)
        fixed += evaluate(policy, splits.validation, [weight], scales, name="fixed")
    conditioned = config.model_copy(update={"out": config.out / "conditioned"})
    policies: dict[str, Policy] = {
        "conditioned": train(conditioned, splits, console),
        "nearest neighbours": fitted(splits.training, scales),
    }
    if not config.policy.blind:
        policies[BLIND] = train(blinded(config), splits, console)
    # Beyond the range that it was trained on, a policy would be judged by guesses.
    found = {
        name: evaluate(policy, splits.validation, config.selection, scales, name=name)
        for name, policy in policies.items()
    }
    seconds = perf_counter() - started
    shown = sorted({*PAPER_COST_WEIGHTS, *config.selection})
    compared = [each for weight in shown for each in baselines(splits, weight, scales)]
    results = [*fixed, *chain.from_iterable(found.values()), *compared]
    trends = {"fixed": trend(fixed), **{name: trend(each) for name, each in found.items()}}
    console.print(table("validation", results))
    console.print(f"Spearman of cost against lambda: {trends}; {seconds:.0f} s", markup=False)
    told = {
        "seconds": seconds,
        "settings": config.settings(),
        "data": dict(splits.hashes),
        "spearman_of_cost": trends,
        "results": [each.report() for each in results],
    }
    text = json.dumps(told, indent=2, allow_nan=False)
    checkpoints.write(config.out / SWEEP, text.encode())


def blinded(config: TrainConfig) -> TrainConfig:
    """The same training of a policy that sees lambda alone."""
    policy = config.policy.model_copy(update={"blind": True})
    return config.model_copy(update={"policy": policy, "out": config.out / BLIND})


def baselines(splits: Splits, cost_weight: float, scales: Reward) -> list[Walked]:
    """On the validation questions: one tier for all modules, the constant path that is best on the
    training questions, a random path, and the oracle of the recorded paths."""
    best = best_constant(splits.training, cost_weight, scales)
    validation = splits.validation
    found = constant(validation, best, cost_weight, scales)
    return [
        *(constant(validation, spell(path), cost_weight, scales) for path in UNIFORM),
        replace(found, name=f"best constant of training, {best}"),
        random_path(validation, cost_weight, scales),
        oracle(validation, cost_weight, scales),
    ]


def trend(results: Sequence[Walked]) -> float | None:
    """Spearman of the mean cost against lambda: -1 if it falls all the way, None if it is flat."""
    return spearman(
        [each.cost_weight for each in results], [float(each.costs.mean()) for each in results]
    )
