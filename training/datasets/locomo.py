"""LoCoMo (Maharana et al., 2024), in the protocol of the BudgetMem paper.

Train conversations 0-5, validation 6-7, test 8-9. Category 5 (adversarial) is dropped. Category 1
is scored with multi-answer F1; category 3's gold answer is cut at its first semicolon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from budgetmem.errors import InvalidInput
from budgetmem.importers import locomo
from budgetmem.importers.base import Record, expect, get, json_records
from training.datasets.base import Entry, FileDataset, Question
from training.datasets.files import answer, check_official, existing, filled
from training.datasets.metrics import multi_answer_f1, token_f1

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
ADVERSARIAL = 5
SPLITS = {"train": range(6), "validation": range(6, 8), "test": range(8, 10)}
OFFICIAL_SHA256 = "79fa87e90f04081343b8c8debecb80a9a6842b76a7aa537dc9fdf651ea698ff4"
_EVIDENCE = re.compile(r"D:?(\d+):(\d+)")


@dataclass(frozen=True)
class LoCoMo(FileDataset):
    """The file `locomo10.json`: ten conversations of two people, with questions.

    Fewer conversations leave the later splits empty. A file that is not the official one is a
    warning, or an error with `verify`.
    """

    path: Path
    verify: bool = False

    @property
    def name(self) -> str:
        """`locomo`."""
        return "locomo"

    def files(self) -> Sequence[Path]:
        """The one file."""
        return (existing(self.path),)

    def entries(self) -> Iterator[Entry]:
        """An entry a conversation. Raises InvalidInput, for example for `[3].qa[17].category`."""
        check_official(self.path, OFFICIAL_SHA256, self.verify)
        for number, (where, record) in enumerate(json_records(self.path)):
            history = get(record, "sample_id", str, where)
            yield Entry(
                where=where,
                split=_split(number, where),
                history=history,
                turns=locomo.conversation(record, where),
                questions=list(_questions(record, history, where)),
            )

    def score(self, question: Question, prediction: str) -> float:
        """Multi-answer F1 for multi-hop questions, token F1 for the others."""
        metric = multi_answer_f1 if question.category == CATEGORIES[1] else token_f1
        return metric(prediction, question.gold)


def _split(number: int, where: str) -> str:
    for split, numbers in SPLITS.items():
        if number in numbers:
            return split
    raise InvalidInput(where, "is in no split: the protocol divides ten conversations")


def _questions(record: Record, history: str, where: str) -> Iterator[Question]:
    for index, raw in enumerate(get(record, "qa", list, where)):
        place = f"{where}.qa[{index}]"
        qa = expect(raw, dict, place)
        category = get(qa, "category", int, place)
        if category == ADVERSARIAL:
            continue
        if category not in CATEGORIES:
            raise InvalidInput(f"{place}.category", f"must be 1 to 5, not {category}")
        gold = answer(get(qa, "answer", object, place), f"{place}.answer")
        yield Question(
            id=f"{history}-q{index}",
            history=history,
            text=filled(get(qa, "question", object, place), f"{place}.question"),
            gold=gold.split(";", maxsplit=1)[0].strip() if category == 3 else gold,
            category=CATEGORIES[category],
            evidence=tuple(dict.fromkeys(evidence_ids(_evidence(qa, place)))),
        )


def _evidence(qa: Record, where: str) -> list[str]:
    entries = enumerate(get(qa, "evidence", list, where))
    return [expect(entry, str, f"{where}.evidence[{i}]") for i, entry in entries]


def evidence_ids(entries: Sequence[str]) -> Iterator[str]:
    """Turn ids from evidence entries, some of which hold several (`D8:6; D9:17`) or slips
    (`D:11:26`, `D30:05`). An entry without any comes back as it is."""
    for entry in entries:
        found = _EVIDENCE.findall(entry)
        yield from (f"D{int(session)}:{int(turn)}" for session, turn in found)
        if not found:
            yield entry
