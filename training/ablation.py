"""Measures what each choice in training is worth, on the validation outcomes.

    python training/ablation.py --outcomes train.jsonl.gz --validation validation.jsonl.gz \\
        --data locomo10.json --out runs/ablation --seeds 3

Trains every variant with every seed and compares the best policies of each, question by question,
with those of the configuration as it is. All are rewarded by one and the same yardstick. What was
trained before is not trained again. It learns from recordings, not live. Writes OUT/ablation.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from budgetmem.errors import ConfigError
from budgetmem.features import GROUPS
from training import checkpoints
from training.commands import ended_by_exit_code
from training.config import TrainConfig, add_options, read
from training.ppo import PAPER
from training.reward import Reward
from training.splits import read_splits
from training.statistics import bootstrap
from training.train import train, validate

RESULTS = "ablation.json"
AS_IT_IS = "as configured"

Changes = Mapping[str, Any]
"""Fields of a TrainConfig. Tables are merged into the configuration's."""


def variants(config: TrainConfig) -> dict[str, Changes]:
    """What is changed in the configuration, by name.

    Groups of features are left out of those that it has, unless it has no other.
    """
    groups = config.feature_groups or tuple(GROUPS)
    fewer = {name: tuple(group for group in groups if group != name) for name in groups}
    return {
        AS_IT_IS: {},
        "without embeddings": {"policy": {"embeddings": False}},
        **{
            f"without {name} features": {"feature_groups": left}
            for name, left in fewer.items()
            if left  # none named would mean all of them
        },
        "lambda alone": {"policy": {"blind": True}},
        "question features alone": {
            "feature_groups": ("question",),
            "policy": {"embeddings": False},
        },
        "the paper's form": {
            "ppo": {
                "ratio": PAPER.ratio,
                "critic": PAPER.critic,
                "value_clip": PAPER.value_clip,
            },
            "policy": {"dropout": 0.0},
        },
        "a slope of 1": {"policy": {"slope": 1.0}},
        "without alignment": {"alignment": False},
        "lambda drawn between": {"cost_weights": (0.0, 0.9), "cost_weight_draw": "between"},
    }


def main() -> None:
    """Trains and compares. Exit code 1 for bad input, 130 if it was stopped."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each variant")
    parser.add_argument(
        "--variant", action="append", metavar="NAME", help="only this one, and the comparison"
    )
    add_options(parser)
    options = parser.parse_args()
    console = Console(stderr=True)
    torch.set_num_threads(1)
    with ended_by_exit_code(console):
        compare(read(options), options.variant, options.seeds, console)


@dataclass(frozen=True)
class Measured:
    """Means over seeds and lambdas: of the reward [n], the score [n] and the cost in USD [n]."""

    rewards: NDArray[np.float64]
    scores: NDArray[np.float64]
    costs: NDArray[np.float64]
    by_seed: Sequence[float]

    def report(self, usual: Measured) -> dict[str, Any]:
        """JSON-able; the advantage is over `usual`, with its 95% interval."""
        return {
            "reward": float(self.rewards.mean()),
            "reward_by_seed": list(self.by_seed),
            "score": float(self.scores.mean()),
            "cost_usd": float(self.costs.mean()),
            "advantage": bootstrap(self.rewards - usual.rewards).report(),
        }


def compare(config: TrainConfig, names: Sequence[str] | None, seeds: int, console: Console) -> None:
    """Trains the named variants (None: all of them), the configuration itself first, and writes and
    shows how they compare.

    Raises ConfigError for an unknown variant, a live configuration, no seed at all, or if
    `config.out` cannot be a folder.
    """
    if config.live:
        raise ConfigError("live: an ablation learns from recordings, leave out --live")
    if seeds < 1:
        raise ConfigError(f"--seeds: is {seeds}, it must be at least 1")
    chosen = _chosen(names, list(variants(config)))
    checkpoints.make_folder(config.out)
    scales = read_splits(config).yardstick(config)
    found = {name: measure(config, name, seeds, scales, console) for name in chosen}
    reports = {name: each.report(found[AS_IT_IS]) for name, each in found.items()}
    whole = {"settings": config.settings(), "seeds": seeds, "variants": reports}
    checkpoints.write(config.out / RESULTS, json.dumps(whole, indent=2).encode())
    console.print(_table(reports))


def measure(
    config: TrainConfig, name: str, seeds: int, scales: Reward, console: Console
) -> Measured:
    """One variant, trained with the seeds that follow the configuration's."""
    walked = []
    changed = merged(config.model_dump(), variants(config)[name])
    letters = name.replace(" ", "-").replace("'", "")
    for seed in range(config.seed, config.seed + seeds):
        folder = config.out / f"{letters}-{seed}"
        variant = TrainConfig.model_validate({**changed, "seed": seed, "out": folder})
        splits = read_splits(variant)
        policy = train(variant, splits, console)
        # All at the lambdas of the configuration, whatever they were trained on.
        walked.append(validate(policy, config, splits, scales))
    return Measured(
        rewards=np.mean([[each.rewards for each in one] for one in walked], axis=(0, 1)),
        scores=np.mean([[each.scores for each in one] for one in walked], axis=(0, 1)),
        costs=np.mean([[each.costs for each in one] for one in walked], axis=(0, 1)),
        by_seed=[float(np.mean([each.reward for each in one])) for one in walked],
    )


def merged(settings: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """The settings with the changes; a table is merged, all else replaced."""
    tables = {
        name: merged(settings[name], change)
        for name, change in changes.items()
        if isinstance(change, Mapping)
    }
    return {**settings, **changes, **tables}


def _chosen(names: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    if unknown := sorted(set(names or ()) - set(known)):
        raise ConfigError(f"--variant: {unknown[0]!r} is not one of {', '.join(known)}")
    return [name for name in known if not names or name in (AS_IT_IS, *names)]


def _table(reports: Mapping[str, Mapping[str, Any]]) -> Table:
    shown = Table("variant", "reward", "against as configured", "score", "USD", title="validation")
    for name, each in reports.items():
        gain = each["advantage"]
        interval = f"{gain['mean']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]"
        shown.add_row(
            name,
            f"{each['reward']:.4f}",
            interval,
            f"{each['score']:.4f}",
            f"{each['cost_usd']:.3e}",
        )
    return shown


if __name__ == "__main__":
    main()
