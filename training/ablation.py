"""Measures what each choice in training is worth, on the validation outcomes.

    python training/ablation.py --outcomes train.jsonl.gz --validation validation.jsonl.gz \\
        --data locomo10.json --out runs/ablation --seeds 3

Trains every variant with every seed and compares the best policies of each, question by question,
with those of the configuration as it is. All are rewarded by one and the same yardstick. What was
trained before is not trained again. Writes OUT/ablation.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from budgetmem.errors import BudgetMemError, ConfigError
from budgetmem.features import GROUPS
from training import checkpoints
from training.config import TrainConfig, add_options, read
from training.evaluation import bootstrap
from training.reward import Reward
from training.splits import read_splits
from training.train import train, validate

RESULTS = "ablation.json"
AS_IT_IS = "as configured"

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    AS_IT_IS: {},
    "without embeddings": {"policy": {"embeddings": False}},
    **{
        f"without {left_out} features": {
            "feature_groups": tuple(group for group in GROUPS if group != left_out)
        }
        for left_out in GROUPS
    },
    "question features alone": {"feature_groups": ("question",), "policy": {"embeddings": False}},
    "one ratio and one value": {"ppo": {"ratio": "joint", "critic": "filter"}},
    "without alignment": {"alignment": False},
    "lambda drawn between": {"cost_weights": (0.0, 0.9), "cost_weight_draw": "between"},
}
"""What is changed, by name; tables are merged into the configuration's."""


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
    try:
        compare(read(options), _chosen(options.variant), options.seeds, console)
    except BudgetMemError as exc:
        console.print(f"error: {exc}", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("stopped: the same command goes on from the last checkpoint")
        sys.exit(130)


@dataclass(frozen=True)
class Measured:
    """Means over seeds and lambdas: of the reward [n], the score [n] and the cost in USD [n]."""

    rewards: NDArray[np.float64]
    scores: NDArray[np.float64]
    costs: NDArray[np.float64]
    by_seed: Sequence[float]

    def report(self, usual: Measured) -> dict[str, Any]:
        """JSON-able; the advantage is over `usual`, with its 95% interval."""
        mean, low, high = bootstrap(self.rewards - usual.rewards)
        return {
            "reward": float(self.rewards.mean()),
            "reward_by_seed": list(self.by_seed),
            "score": float(self.scores.mean()),
            "cost_usd": float(self.costs.mean()),
            "advantage": {"mean": mean, "low": low, "high": high},
        }


def compare(config: TrainConfig, variants: Sequence[str], seeds: int, console: Console) -> None:
    """Trains `variants`, the configuration itself first, and writes and shows how they compare."""
    scales = read_splits(config).yardstick(config)
    found = {name: measure(config, name, seeds, scales, console) for name in variants}
    reports = {name: each.report(found[AS_IT_IS]) for name, each in found.items()}
    whole = {"settings": config.settings(), "seeds": seeds, "variants": reports}
    config.out.mkdir(parents=True, exist_ok=True)
    checkpoints.write(config.out / RESULTS, json.dumps(whole, indent=2).encode())
    console.print(_table(reports))


def measure(
    config: TrainConfig, name: str, seeds: int, scales: Reward, console: Console
) -> Measured:
    """One variant, trained with the seeds that follow the configuration's."""
    walked = []
    changed = merged(config.model_dump(), VARIANTS[name])
    for seed in range(config.seed, config.seed + seeds):
        folder = config.out / f"{name.replace(' ', '-')}-{seed}"
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


def merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the changes; a table is merged, all else replaced."""
    tables = {
        name: merged(settings[name], change)
        for name, change in changes.items()
        if isinstance(change, Mapping)
    }
    return {**settings, **changes, **tables}


def _chosen(names: Sequence[str] | None) -> list[str]:
    if unknown := sorted(set(names or ()) - set(VARIANTS)):
        raise ConfigError(f"--variant: {unknown[0]!r} is not one of {', '.join(VARIANTS)}")
    return [name for name in VARIANTS if not names or name in (AS_IT_IS, *names)]


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
