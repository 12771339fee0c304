"""Datasets of questions about histories, behind one protocol, opened by name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from budgetmem.errors import ConfigError
from training.datasets.base import Dataset, Question
from training.datasets.files import DatasetWarning, existing
from training.datasets.hotpotqa import HotpotQA
from training.datasets.locomo import LoCoMo
from training.datasets.longmemeval import LongMemEval

Opener = Callable[..., Dataset]
"""Makes a dataset of a path; its other parameters are the dataset's options."""

DATASETS: Mapping[str, Opener] = {
    "locomo": LoCoMo,
    "longmemeval-oracle": partial(LongMemEval, form="oracle"),
    "longmemeval-s": partial(LongMemEval, form="s"),
    "hotpotqa": HotpotQA,
}

__all__ = ["DATASETS", "Dataset", "DatasetWarning", "Question", "open_dataset"]


def open_dataset(name: str, path: Path | str, **options: str | bool | Path) -> Dataset:
    """The dataset of that name; `MODULE:CLASS` names one of your own (docs/datasets.md).

    Files are read when something of them is first asked for. Raises ConfigError for an unknown
    name or option, NotFound if nothing is at `path`.
    """
    opener = DATASETS[name] if name in DATASETS else _imported(name)
    fixed = {"path", *getattr(opener, "keywords", {})}
    known = [option for option in inspect.signature(opener).parameters if option not in fixed]
    for option in options:
        if option not in known:
            there_are = ", ".join(known) or "none"
            raise ConfigError(f"{name} has no option {option!r}; its options: {there_are}")
    return opener(existing(Path(path)), **options)


def _imported(name: str) -> Opener:
    module, _, attribute = name.partition(":")
    if not (module and attribute):
        raise ConfigError(
            f"dataset: {name!r} is not one of {', '.join(DATASETS)}, nor of the form MODULE:CLASS"
        )
    try:
        found: Opener = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as exc:
        raise ConfigError(f"dataset: {name!r} cannot be imported: {exc}") from exc
    return found
