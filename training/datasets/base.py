"""What a dataset offers: histories, questions about them, splits, and how an answer is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from budgetmem.types import Turn


@dataclass(frozen=True)
class Question:
    """A question to one history. `evidence` are ids of the turns that hold the answer."""

    id: str
    history: str
    text: str
    gold: str
    category: str
    evidence: tuple[str, ...]


class Dataset(Protocol):
    """Splits are by history; a history is in exactly one."""

    @property
    def name(self) -> str: ...

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]: ...

    def histories(self) -> Mapping[str, Sequence[Turn]]: ...

    def questions(self, split: str) -> Sequence[Question]: ...

    def score(self, question: Question, prediction: str) -> float:
        """Token F1 by the dataset's own protocol, in [0, 1]."""
        ...
