"""A policy for each lambda of the paper and one for all of them, from one recording."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

from rich.console import Console

from budgetmem.errors import ConfigError
from budgetmem.tiers import Tier
from training import checkpoints
from training.config import PAPER_COST_WEIGHTS, TrainConfig
from training.evaluation import Walked, constants, evaluate, oracle, random_path
from training.neighbours import fitted
from training.policies import ConditionedPolicy
from training.progress import table
from training.reward import Reward
from training.rollouts.paths import constant, spell
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
        fixed += evaluate(
            policy, splits.validation, [weight], scales, name="fixed", orders=config.orders
        )
    policy = train(config.model_copy(update={"out": config.out / "conditioned"}), splits, console)
    # Beyond the range that it was trained on, it would be judged by guesses.
    conditioned = evaluate(
        policy,
        splits.validation,
        config.selection,
        scales,
        name="conditioned",
        orders=config.orders,
    )
    nearest = evaluate(
        fitted(splits.training, scales),
        splits.validation,
        config.selection,
        scales,
        name="nearest neighbours",
        orders=config.orders,
    )
    seconds = perf_counter() - started
    shown = sorted({*PAPER_COST_WEIGHTS, *config.selection})
    compared = [each for weight in shown for each in baselines(splits, weight, scales)]
    results = [*fixed, *conditioned, *nearest, *compared]
    trends = {"fixed": trend(fixed), "conditioned": trend(conditioned)}
    console.print(table("validation", results))
    console.print(f"Spearman of cost against lambda: {trends}; {seconds:.0f} s", markup=False)
    found = {
        "seconds": seconds,
        "settings": config.settings(),
        "data": dict(splits.hashes),
        "spearman_of_cost": trends,
        "results": [each.report() for each in results],
    }
    text = json.dumps(found, indent=2, allow_nan=False)
    checkpoints.write(config.out / SWEEP, text.encode())


def baselines(splits: Splits, cost_weight: float, scales: Reward) -> list[Walked]:
    """On the validation questions: one tier for all modules, the best of these (chosen after the
    fact, so it is flattered), a random recorded path, and the oracle.

    A uniform path is there if it was recorded for every validation question.
    """
    known = {each.name: each for each in constants(splits.validation, cost_weight, scales)}
    uniform = [known[name] for name in map(spell, map(constant, Tier)) if name in known]
    best = max(uniform, key=lambda each: each.reward, default=None)
    return [
        *uniform,
        *([] if best is None else [replace(best, name=f"best uniform, {best.name}")]),
        random_path(splits.validation, cost_weight, scales),
        oracle(splits.validation, cost_weight, scales),
    ]


def trend(results: Sequence[Walked]) -> float | None:
    """Spearman of the mean cost against lambda: -1 if it falls all the way, None if it is flat."""
    return spearman(
        [each.cost_weight for each in results], [float(each.costs.mean()) for each in results]
    )
