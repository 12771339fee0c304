"""HotpotQA (Yang et al., 2018), in the protocol of the BudgetMem paper.

Every question has a history of its own: its documents, a turn each. Splits are files. Records are
in any of the forms of `budgetmem.importers.hotpotqa`: the distractor form with ten paragraphs, or
long contexts, among them the lists of `{context, input, answers}` that MemAgent made, whose
documents begin with `Document N:`. Several gold answers are joined by ", "; token F1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from budgetmem.errors import ConfigError, InvalidInput
from budgetmem.importers import hotpotqa
from budgetmem.importers.base import Record, expect, get, json_records
from budgetmem.types import Turn
from training.datasets.base import SPLIT_NAMES, Entry, FileDataset, Question
from training.datasets.files import answer, existing, filled, sha256
from training.datasets.metrics import token_f1

UNTYPED = "untyped"


@dataclass(frozen=True)
class HotpotQA(FileDataset):
    """Files in the folder `path`, one a split; at least one of them.

    A question is in one file only, whatever its id: the files of different collections overlap.
    """

    path: Path
    train: Path | str | None = None
    validation: Path | str | None = None
    test: Path | str | None = None

    @property
    def name(self) -> str:
        """`hotpotqa`."""
        return "hotpotqa"

    def files(self) -> Sequence[Path]:
        """The files that were given. Raises ConfigError if there are none."""
        return tuple(self._by_split().values())

    @cached_property
    def facts(self) -> Mapping[str, str]:
        """The hash of each split's file: the same files may be given to other splits."""
        return {split: sha256(path) for split, path in self._by_split().items()}

    def entries(self) -> Iterator[Entry]:
        """An entry a record. Raises InvalidInput with the place; also if a question comes again."""
        places: dict[str, tuple[str, str]] = {}
        for split, path in self._by_split().items():
            for number, (where, record) in enumerate(json_records(path)):
                entry = _entry(record, where, split, number)
                (asked,) = entry.questions
                text = " ".join(asked.text.casefold().split())
                place, before = places.setdefault(text, (where, split))
                if before != split:
                    raise InvalidInput(
                        where,
                        f"the question {asked.id!r} is in {place} too: it would be in the splits "
                        f"{before!r} and {split!r}; leave one of the files out",
                    )
                yield entry

    def score(self, question: Question, prediction: str) -> float:
        """Token F1."""
        return token_f1(prediction, question.gold)

    def why_empty(self, split: str) -> str:
        """That there is no file for it, or nothing in it."""
        path = self._by_split().get(split)
        return f"give its file, {split}=..." if path is None else f"{path.name} has no records"

    def _by_split(self) -> Mapping[str, Path]:
        given = dict(zip(SPLIT_NAMES, (self.train, self.validation, self.test), strict=True))
        found = {split: existing(self.path / file) for split, file in given.items() if file}
        if not found:
            raise ConfigError(f"hotpotqa: name the file of a split: {', '.join(SPLIT_NAMES)}")
        return found


def _entry(record: Record, where: str, split: str, number: int) -> Entry:
    # An `index` counts within its file only, so it is no name in a dataset of several.
    given = record.get("id", record.get("_id"))
    name = f"{split}-{number}" if given is None else str(given)
    turns = hotpotqa.history(record, where)
    key = "question" if "question" in record else "input"
    kind = record.get("type")
    golds = _golds(record, where)
    asked = Question(
        id=name,
        history=name,
        text=filled(get(record, key, object, where), f"{where}.{key}"),
        gold=", ".join(golds),
        golds=golds if len(golds) > 1 else (),
        category=UNTYPED if kind is None else expect(kind, str, f"{where}.type"),
        evidence=_evidence(record, turns, where),
    )
    return Entry(where, split, name, turns, [asked])


def _golds(record: Record, where: str) -> tuple[str, ...]:
    if "answers" not in record:
        return (answer(get(record, "answer", object, where), f"{where}.answer"),)
    given = get(record, "answers", list, where)
    if not given:
        raise InvalidInput(f"{where}.answers", "is empty")
    return tuple(answer(each, f"{where}.answers[{i}]") for i, each in enumerate(given))


def _evidence(record: Record, turns: Sequence[Turn], where: str) -> tuple[str, ...]:
    """Turns of the supporting paragraphs that are in the context; none if the file has no facts."""
    titles = set(_supporting(record.get("supporting_facts", []), f"{where}.supporting_facts"))
    return tuple(turn.id for turn in turns if turn.speaker in titles)


def _supporting(facts: object, where: str) -> Iterator[str]:
    """Titles, from a list of them or from pairs of a title and a sentence's number."""
    if isinstance(facts, dict):
        for index, title in enumerate(get(facts, "title", list, where)):
            yield expect(title, str, f"{where}.title[{index}]")
        return
    for index, raw in enumerate(expect(facts, list, where)):
        pair = expect(raw, list, f"{where}[{index}]")
        if len(pair) != 2:
            raise InvalidInput(f"{where}[{index}]", "must be a title and a sentence's number")
        yield expect(pair[0], str, f"{where}[{index}][0]")
