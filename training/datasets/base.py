"""What a dataset offers: histories, questions about them, splits, and how an answer is scored.

`Dataset` is what the trainer and the benchmarks ask for. `FileDataset` does the part that datasets
in files have in common: a subclass says what its entries are, and how an answer is scored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Protocol

from budgetmem.errors import InvalidInput
from budgetmem.types import Turn
from training.datasets.files import digest

SPLIT_NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class Question:
    """A question to one history. `evidence` are ids of the turns that hold the answer; `asked_at`
    is when it is asked, if the dataset says so. `golds` are the answers any of which is right, if
    there are several: `gold` is then what scores are reckoned by."""

    id: str
    history: str
    text: str
    gold: str
    category: str
    evidence: tuple[str, ...]
    asked_at: datetime | None = None
    golds: tuple[str, ...] = ()

    @property
    def gold_answers(self) -> tuple[str, ...]:
        """At least one, any of which is right."""
        return self.golds or (self.gold,)


class Dataset(Protocol):
    """Splits are by history; a history is in exactly one."""

    @property
    def name(self) -> str:
        """Dataset and form of its files; printed beside every number."""
        ...

    @property
    def sha256(self) -> str:
        """Of the data: numbers that were made from other data are never mixed with these."""
        ...

    @property
    def facts(self) -> Mapping[str, str]:
        """What its options change of the data, beside `sha256`; of a file its hash, never its
        place. Empty for a dataset without such options."""
        ...

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """Names of histories by split; every one of SPLIT_NAMES is there, perhaps empty."""
        ...

    def histories(self) -> Mapping[str, Sequence[Turn]]:
        """Turns by the name of their history."""
        ...

    def questions(self, split: str) -> Sequence[Question]:
        """At least one. Raises InvalidInput for a split that is unknown or empty."""
        ...

    def score(self, question: Question, prediction: str) -> float:
        """Token F1 by the dataset's own protocol, in [0, 1]."""
        ...


@dataclass(frozen=True)
class Entry:
    """A history with its questions, as read. `where` is its place in the file, for errors."""

    where: str
    split: str
    history: str
    turns: Sequence[Turn]
    questions: Sequence[Question]


@dataclass(frozen=True)
class Contents:
    """What the entries of a dataset come to; `splits` and `questions` by split."""

    histories: Mapping[str, Sequence[Turn]]
    splits: Mapping[str, tuple[str, ...]]
    questions: Mapping[str, tuple[Question, ...]]


def gather(entries: Iterable[Entry]) -> Contents:
    """The entries by split, in their order.

    A history has one entry, and so one split: splits cannot mix. Raises InvalidInput, with the
    place, for an unknown split, a history that comes twice or has no turns, a question that comes
    twice, names another history than its entry's, or has no text or no answer.
    """
    histories: dict[str, Sequence[Turn]] = {}
    splits: dict[str, list[str]] = {split: [] for split in SPLIT_NAMES}
    questions: dict[str, list[Question]] = {split: [] for split in SPLIT_NAMES}
    places: dict[str, str] = {}
    for entry in entries:
        check_split(entry.split, f"{entry.where}.split")
        if entry.history in histories:
            raise InvalidInput(entry.where, f"a second history named {entry.history!r}")
        if not entry.turns:
            raise InvalidInput(entry.where, f"the history {entry.history!r} has no turns")
        for question in entry.questions:
            _check(question, entry, places)
            places[question.id] = entry.where
        histories[entry.history] = entry.turns
        splits[entry.split].append(entry.history)
        questions[entry.split].extend(entry.questions)
    return Contents(
        histories=histories,
        splits={split: tuple(names) for split, names in splits.items()},
        questions={split: tuple(asked) for split, asked in questions.items()},
    )


def check_split(split: str, field: str = "split") -> None:
    """Raises InvalidInput for a name that is none of SPLIT_NAMES."""
    if split not in SPLIT_NAMES:
        raise InvalidInput(field, f"{split!r} is not one of {', '.join(SPLIT_NAMES)}")


def _check(question: Question, entry: Entry, places: Mapping[str, str]) -> None:
    if question.id in places:
        raise InvalidInput(
            entry.where, f"the question {question.id!r} is in {places[question.id]} too"
        )
    if question.history != entry.history:
        raise InvalidInput(
            entry.where,
            f"the question {question.id!r} is to {question.history!r}, not to {entry.history!r}",
        )
    if not question.text.strip():
        raise InvalidInput(entry.where, f"the question {question.id!r} has no text")
    if not question.gold.strip():
        raise InvalidInput(entry.where, f"the question {question.id!r} has no answer")


class FileDataset(ABC):
    """A dataset whose files are read once, when something of them is first asked for."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Dataset and form of its files; printed beside every number."""

    @abstractmethod
    def files(self) -> Sequence[Path]:
        """The files that histories and questions are read from."""

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """Reads the files. Raises InvalidInput with the place of what is malformed."""

    @abstractmethod
    def score(self, question: Question, prediction: str) -> float:
        """Token F1 by the dataset's own protocol, in [0, 1]."""

    def why_empty(self, split: str) -> str:
        """What to say of a split without questions."""
        return f"no entry of {', '.join(path.name for path in self.files())} is in it"

    @cached_property
    def contents(self) -> Contents:
        """What was read. Raises InvalidInput if there is not one question."""
        found = gather(self.entries())
        if not any(found.questions.values()):
            names = ", ".join(path.name for path in self.files())
            raise InvalidInput(names, "no questions with an answer in it")
        return found

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """Names of histories by split; a split without any is an empty tuple."""
        return self.contents.splits

    def histories(self) -> Mapping[str, Sequence[Turn]]:
        """Turns by the name of their history."""
        return self.contents.histories

    def questions(self, split: str) -> Sequence[Question]:
        """At least one. Raises InvalidInput for a split that is unknown or empty."""
        check_split(split)
        found = self.contents.questions[split]
        if not found:
            reason = self.why_empty(split)
            raise InvalidInput("split", f"{split!r} of {self.name} has no questions: {reason}")
        return found

    @property
    def facts(self) -> Mapping[str, str]:
        """None; a dataset whose options change its questions or splits says so here."""
        return {}

    @cached_property
    def sha256(self) -> str:
        """Of the file; of several files, over their names and hashes."""
        return digest(self.files())
