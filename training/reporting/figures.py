"""An evaluation's results without any text of the data or of a model: what a report is made of.

One gzipped file, a JSON line for each result, which may be published where the data may not.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from budgetmem.errors import InvalidInput
from training import checkpoints
from training.reporting.frontier import Outcome
from training.reporting.results import Build, Result
from training.reporting.trained import Routers

FILE = "figures.jsonl.gz"


@dataclass(frozen=True)
class Asked:
    """A question that was attempted."""

    id: str
    history: str
    category: str


@dataclass(frozen=True)
class Sample:
    """Where the questions are from: `size` is how many the split has, `seed` that of the choice."""

    size: int
    seed: int


@dataclass(frozen=True)
class Head:
    """What figures depend on, and which there are.

    `setting`, `routers` and `builds` (by history) as `training/reporting/results.py` has them;
    `questions` are those that were attempted and `arms` the ways of answering, both in order.
    """

    setting: Mapping[str, Any]
    routers: Routers
    sample: Sample
    questions: tuple[Asked, ...]
    builds: Mapping[str, Build]
    arms: tuple[str, ...]

    @property
    def split(self) -> str:
        """Of the dataset."""
        return str(self.setting["split"])

    @property
    def build_usd(self) -> float:
        """Of ingesting the histories of these questions, divided by the questions."""
        return sum(each.cost_usd for each in self.builds.values()) / len(self.questions)

    @property
    def categories(self) -> Mapping[str, int]:
        """How many questions each has, by its name."""
        return dict(sorted(Counter(each.category for each in self.questions).items()))


_HEAD = TypeAdapter(Head)
_RESULT = TypeAdapter(Result)


@dataclass(frozen=True)
class Figures:
    """What a split's questions came to, in every way that they were answered.

    `found` has the results of those that were answered. Read from a file, predictions are empty,
    and a receipt is there for the first question alone.
    """

    head: Head
    found: Mapping[str, Sequence[Result]]

    def outcome(self, arm: str) -> Outcome:
        """Scores and costs by question.

        What was not answered scores 0, and costs what answers cost on average: a failure must not
        make a way look cheaper.
        """
        held = {each.question: each for each in self.found[arm]}
        costs = [each.costs_usd.total for each in held.values()]
        usual = float(np.mean(costs)) if costs else 0.0
        rows = [held.get(question.id) for question in self.head.questions]
        return Outcome(
            scores=np.array([row.score if row else 0.0 for row in rows]),
            costs=np.array([row.costs_usd.total if row else usual for row in rows]),
        )

    def outcomes(self, arms: Sequence[str]) -> Mapping[str, Outcome]:
        """Of several ways, by name, as far as they answered anything: what a way costs that did
        not is unknown."""
        return {arm: self.outcome(arm) for arm in arms if self.found[arm]}

    @property
    def codes(self) -> Mapping[str, int]:
        """How many answers each version of the code gave, by its hash."""
        held = (each.code for results in self.found.values() for each in results)
        return dict(sorted(Counter(held).items()))

    @property
    def judges(self) -> Sequence[str]:
        """Those that gave verdicts, by name."""
        held = (each.verdicts for results in self.found.values() for each in results)
        return sorted({name for verdicts in held for name in verdicts})


def write_figures(file: Path, figures: Figures) -> None:
    """Whole or not at all, and the same bytes for the same figures."""
    lines = [asdict(figures.head), *_rows(figures)]
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    checkpoints.write(file, gzip.compress(text.encode(), mtime=0))


def read_figures(file: Path) -> Figures:
    """Raises InvalidInput, with the line, for a file that is not one of figures."""
    try:
        first, *lines = gzip.decompress(file.read_bytes()).decode().splitlines() or [""]
        head = _HEAD.validate_json(first)
    except (OSError, EOFError, ValueError) as exc:
        raise InvalidInput(str(file), f"has no figures: {exc}") from exc
    found: dict[str, list[Result]] = {arm: [] for arm in head.arms}
    for number, line in enumerate(lines, start=2):
        try:
            row = json.loads(line)
            found[row.pop("arm")].append(_RESULT.validate_python(row))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise InvalidInput(f"{file}, line {number}", f"is no result: {exc!r}") from exc
    return Figures(head, found)


def _rows(figures: Figures) -> Iterator[Mapping[str, Any]]:
    shown = [each.id for each in figures.head.questions[:1]]
    for arm, results in figures.found.items():
        for each in results:
            receipt = each.receipt if each.question in shown else {}
            yield {"arm": arm, **asdict(each), "prediction": "", "receipt": receipt}
