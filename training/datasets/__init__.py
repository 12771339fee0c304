"""Datasets of questions about histories, behind one protocol, opened by name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
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

__all__ = ["DATASETS", "Dataset", "DatasetWarning", "Question", "open_dataset", "options_of"]


def open_dataset(name: str, path: Path | str, **options: str | bool | Path) -> Dataset:
    """The dataset of that name; `MODULE:CLASS` names one of your own (docs/datasets.md).

    Files are read when something of them is first asked for. A switch may be given as the text
    `true` or `false`. Raises ConfigError for an unknown name or option, NotFound if nothing is at
    `path`.
    """
    opener = DATASETS[name] if name in DATASETS else _imported(name)
    fixed = {"path", *getattr(opener, "keywords", {})}
    parameters = inspect.signature(opener).parameters
    known = [option for option in parameters if option not in fixed]
    for option in options:
        if option not in known:
            there_are = ", ".join(known) or "none"
            raise ConfigError(f"{name} has no option {option!r}; its options: {there_are}")
    switches = {option for option in known if isinstance(parameters[option].default, bool)}
    given = {
        option: _switch(option, value) if option in switches else value
        for option, value in options.items()
    }
    return opener(existing(Path(path)), **given)


def options_of(given: Iterable[str]) -> dict[str, str]:
    """Options for `open_dataset`, from texts `NAME=VALUE`. Raises ConfigError for any other text,
    or a name that comes twice."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ConfigError(f"data option: {text!r} is not of the form NAME=VALUE")
        if name in found:
            raise ConfigError(f"data option: {name} comes twice")
        found[name] = value
    return found


def _switch(option: str, value: str | bool | Path) -> bool:
    if value in {"true", "false", True, False}:
        return value in {"true", True}
    raise ConfigError(f"{option} must be true or false, not {value!r}")


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
