"""The two files of outcomes that a router is trained with, read and checked against each other."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from budgetmem.errors import InvalidInput
from training.config import TrainConfig
from training.datasets import Dataset, open_dataset
from training.differences import differences
from training.evaluation import yardstick
from training.reward import Reward
from training.rollouts import outcomes
from training.rollouts.environment import Environment, Estimates, RecordedEnvironment
from training.rollouts.outcomes import OutcomeFile, Outcomes
from training.rollouts.vectors import embedded

_NEEDED = (
    "dataset",
    "sha256",
    "split",
    "profile",
    "strategy",
    "max_tokens",
    "backbones",
    "encoder",
)


@dataclass(frozen=True)
class Splits:
    """What training reads. `hashes` are SHA-256 sums of the three files, by name.

    Policies learn from walks of `rollouts`: the recorded training questions, or the same ones live.
    """

    training: RecordedEnvironment
    validation: RecordedEnvironment
    rollouts: Environment
    dataset: Dataset
    features: tuple[str, ...]
    setting: Mapping[str, Any]
    hashes: Mapping[str, str]

    def yardstick(self, config: TrainConfig) -> Reward:
        """By what policies are compared: a reward whose scales do not move in training."""
        return yardstick(self.training, alignment=config.alignment, paper=config.paper_reward)


def read_splits(config: TrainConfig) -> Splits:
    """Reads outcomes and makes their vectors.

    Raises InvalidInput for files that cannot be read, are malformed, or do not belong together,
    ConfigError for an unknown dataset or option, or a profile that is not as it was recorded,
    NotFound if the data is not there.
    """
    hashes = {
        "outcomes": _sha256(config.outcomes),
        "validation": _sha256(config.validation),
    }
    training, validation = outcomes.read(config.outcomes), outcomes.read(config.validation)
    check("outcomes", training)
    check("validation", validation)
    check_apart(training, validation)
    training = training.with_groups(config.feature_groups)
    validation = validation.with_groups(config.feature_groups)
    setting = training.setting
    dataset = open_dataset(str(setting["dataset"]), config.data, **config.data_options)
    if found := differences(setting.get("data_options", {}), dataset.facts):
        raise InvalidInput(
            "data_options", f"are not those that were recorded with ({'; '.join(found)})"
        )
    hashes["data"] = dataset.sha256
    if setting["sha256"] != hashes["data"]:
        raise InvalidInput("data", f"{config.data} is not the file that was recorded from")
    estimates = Estimates.of(training)
    recorded = RecordedEnvironment(training, embedded(training, dataset), estimates)
    return Splits(
        training=recorded,
        rollouts=recorded,
        validation=RecordedEnvironment(validation, embedded(validation, dataset), estimates),
        dataset=dataset,
        features=training.features,
        setting=setting,
        hashes=hashes,
    )


def check(name: str, file: OutcomeFile) -> None:
    """Raises InvalidInput for an empty split, or for numbers that cannot be: a NaN would pass for a
    path that was not recorded."""
    if missing := [key for key in _NEEDED if key not in file.setting]:
        raise InvalidInput(f"{name}.setting", f"lacks {', '.join(missing)}: record it anew")
    if not file.outcomes:
        raise InvalidInput(name, "has no questions: an empty split")
    for each in file.outcomes:
        _check_numbers(f"{name}[{each.question}]", each)


def check_apart(training: OutcomeFile, validation: OutcomeFile) -> None:
    """Raises InvalidInput unless both were made alike, from different histories."""
    if training.features != validation.features:
        raise InvalidInput("validation.features", "are not those of the outcomes: record it anew")
    held, given = (
        {key: value for key, value in file.setting.items() if key != "split"}
        for file in (training, validation)
    )
    if found := differences(held, given):
        raise InvalidInput(
            "validation.setting", f"is not that of the outcomes ({'; '.join(found)})"
        )
    for what in ("question", "history"):
        one, other = (
            {str(getattr(each, what)) for each in file.outcomes} for file in (training, validation)
        )
        if shared := sorted(one & other):
            raise InvalidInput(
                "validation",
                f"shares {what} {shared[0]!r} with training: splits must be of different histories",
            )


def _check_numbers(at: str, each: Outcomes) -> None:
    for name, node in each.nodes.items():
        if not all(map(math.isfinite, node.features)):
            raise InvalidInput(f"{at}.nodes[{name!r}]", "has a feature that is not finite")
    for name, leaf in each.leaves.items():
        if not 0 <= leaf.score <= 1:
            raise InvalidInput(f"{at}.leaves[{name!r}].score", f"is {leaf.score}, not in [0, 1]")
        if not all(0 <= cost < math.inf for cost in leaf.costs_usd):
            raise InvalidInput(
                f"{at}.leaves[{name!r}].costs_usd", "has a cost that is negative or not finite"
            )


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as exc:
        raise InvalidInput(str(path), f"cannot be read: {exc.strerror}") from exc
