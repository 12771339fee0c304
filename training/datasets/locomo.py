"""LoCoMo (Maharana et al., 2024), in the protocol of the BudgetMem paper.

Train conversations 0-5, validation 6-7, test 8-9. Category 5 (adversarial) is dropped. Category 1
is scored with multi-answer F1; category 3's gold answer is cut at its first semicolon.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from budgetmem.errors import InvalidInput
from budgetmem.importers import locomo
from budgetmem.types import Turn
from training.datasets.base import Question
from training.metrics import multi_answer_f1, token_f1

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
ADVERSARIAL = 5
SPLITS = {"train": range(6), "validation": range(6, 8), "test": range(8, 10)}
_EVIDENCE = re.compile(r"D:?(\d+):(\d+)")


@dataclass(frozen=True)
class LoCoMo:
    """The file `locomo10.json`: ten conversations of two people, with questions."""

    path: Path
    name: str = "locomo"

    @cached_property
    def _samples(self) -> list[dict[str, Any]]:
        samples: list[dict[str, Any]] = json.loads(self.path.read_text(encoding="utf-8"))
        return samples

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """Histories by split."""
        ids = [str(sample["sample_id"]) for sample in self._samples]
        return {split: tuple(ids[chosen.start : chosen.stop]) for split, chosen in SPLITS.items()}

    def histories(self) -> Mapping[str, Sequence[Turn]]:
        """Turns by conversation id."""
        return locomo.read(self.path)

    def questions(self, split: str) -> Sequence[Question]:
        """Questions in file order. Raises InvalidInput for an unknown split."""
        if split not in SPLITS:
            raise InvalidInput("split", f"{split!r} is not one of {', '.join(SPLITS)}")
        chosen = SPLITS[split]
        return [
            self._question(sample, index, qa)
            for sample in self._samples[chosen.start : chosen.stop]
            for index, qa in enumerate(sample["qa"])
            if qa["category"] != ADVERSARIAL
        ]

    def score(self, question: Question, prediction: str) -> float:
        """Multi-answer F1 for multi-hop questions, token F1 for the others."""
        metric = multi_answer_f1 if question.category == CATEGORIES[1] else token_f1
        return metric(prediction, question.gold)

    def _question(self, sample: Mapping[str, Any], index: int, qa: Mapping[str, Any]) -> Question:
        category = CATEGORIES[qa["category"]]
        gold = str(qa["answer"])
        return Question(
            id=f"{sample['sample_id']}-q{index}",
            history=str(sample["sample_id"]),
            text=qa["question"],
            gold=gold.split(";", maxsplit=1)[0].strip() if category == CATEGORIES[3] else gold,
            category=category,
            evidence=tuple(dict.fromkeys(evidence_ids(qa["evidence"]))),
        )


def evidence_ids(entries: Sequence[str]) -> Iterator[str]:
    """Turn ids from evidence entries, some of which hold several (`D8:6; D9:17`) or slips
    (`D:11:26`, `D30:05`). An entry without any comes back as it is."""
    for entry in entries:
        found = _EVIDENCE.findall(entry)
        yield from (f"D{int(session)}:{int(turn)}" for session, turn in found)
        if not found:
            yield entry
