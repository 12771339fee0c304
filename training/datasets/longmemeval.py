"""LongMemEval (Wu et al., 2025), oracle and S, in the protocol of the BudgetMem paper.

All six question types, abstention questions (`_abs`) included, scored with token F1: the
benchmark's own protocol differs (a judge with a rubric a type, abstention apart). Every question
has a history of its own, and a date on which it is asked.

The paper's split file holds places in `longmemeval_s.json`. The oracle file has another order, so
places are mapped by `question_id`, for which the order of S is needed too.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from budgetmem.errors import ConfigError, InvalidInput, NotFound
from budgetmem.importers import longmemeval
from budgetmem.importers.base import Record, date, expect, get, json_records, text_lines
from training.datasets.base import Entry, FileDataset, Question
from training.datasets.files import (
    DatasetWarning,
    answer,
    check_official,
    existing,
    filled,
    sha256,
)
from training.datasets.metrics import token_f1

TYPES = (
    "single-session-user",
    "single-session-assistant",
    "single-session-preference",
    "multi-session",
    "temporal-reasoning",
    "knowledge-update",
)
OFFICIAL_SHA256 = {
    "oracle": "821a2034d219ab45846873dd14c14f12cfe7776e73527a483f9dac095d38620c",
    "s": "d6f21ea9d60a0d56f34a05b609c79c88a451d2ae03597821ea3d5a9678c3a442",
}
"""Of the cleaned release of 2025."""
SPLITS_SHA256 = "d13012b04e6e2d23aa2c57df6ee121ec55be710d7f19b2d0527a1b5457d7031f"
_KEYS = {"train": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class LongMemEval(FileDataset):
    """A file of all instances, or (S only) a folder of files of one instance each.

    `split_file` is the paper's `longmemeval_s_splits.json`. `order_file` says what instance is at
    what place of S: a table with the columns `index` and `question_id`, separated by tabs, or
    `longmemeval_s.json` itself; a whole S file is its own order. Instances come in that order,
    whatever the files' is. A file that is not the official one is a warning, or an error with
    `verify`; single instances have no official hash.
    """

    path: Path
    form: Literal["oracle", "s"]
    split_file: Path | str | None = None
    order_file: Path | str | None = None
    verify: bool = False

    @cached_property
    def facts(self) -> Mapping[str, str]:
        """The hashes of the files that say what is in which split."""
        found = {"split_file": sha256(self._split_path)}
        if self.order_file is not None:
            found["order_file"] = sha256(Path(self.order_file))
        return found

    @property
    def name(self) -> str:
        """`longmemeval-oracle` or `longmemeval-s`: the oracle file is the easier task."""
        return f"longmemeval-{self.form}"

    def files(self) -> Sequence[Path]:
        """The one file, or those of the folder by name. Raises NotFound if there are none."""
        if not existing(self.path).is_dir():
            return (self.path,)
        found = sorted(self.path.glob("*.json"))
        if not found:
            raise NotFound(f"{self.path} has no *.json")
        return found

    def entries(self) -> Iterator[Entry]:
        """An entry an instance, in the order of S. Raises InvalidInput with the place."""
        self._check_official()
        found = [
            self._entry(record, where)
            for path in self.files()
            for where, record in json_records(path)
        ]
        yield from sorted(found, key=lambda entry: self._places[entry.history])

    def questions(self, split: str) -> Sequence[Question]:
        """Those of the instances that are here, with a DatasetWarning if some are missing."""
        found = super().questions(split)
        if self.missing[split]:
            message = f"{self._lack(split)}: numbers from it are not those of the whole split"
            warnings.warn(f"{self.name}: {message}", DatasetWarning, stacklevel=2)
        return found

    def score(self, question: Question, prediction: str) -> float:
        """Token F1."""
        return token_f1(prediction, question.gold)

    @cached_property
    def missing(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of each split's instances that are not among the files."""
        return {
            name: tuple(
                each
                for each, split in self._split_of.items()
                if split == name and each not in self.contents.histories
            )
            for name in _KEYS.values()
        }

    def why_empty(self, split: str) -> str:
        """How many instances are missing."""
        return self._lack(split)

    def _lack(self, split: str) -> str:
        of = sum(each == split for each in self._split_of.values())
        return f"{len(self.missing[split])} of {of} instances of {split!r} are not here"

    def _check_official(self) -> None:
        if not existing(self.path).is_dir():
            check_official(self.path, OFFICIAL_SHA256[self.form], self.verify)
        elif self.verify:
            raise ConfigError("verify: no official sha256 is known for files of single instances")
        check_official(self._split_path, SPLITS_SHA256, self.verify)

    def _entry(self, record: Record, where: str) -> Entry:
        name = get(record, "question_id", str, where)
        if name not in self._split_of:
            raise InvalidInput(
                f"{where}.question_id", f"{name!r} is in no split of {self._split_path.name}"
            )
        self._check_form(record, where)
        kind = get(record, "question_type", str, where)
        if kind not in TYPES:
            raise InvalidInput(
                f"{where}.question_type", f"{kind!r} is not one of {', '.join(TYPES)}"
            )
        turns = longmemeval.haystack(record, where)
        asked = Question(
            id=name,
            history=name,
            text=filled(get(record, "question", object, where), f"{where}.question"),
            gold=answer(get(record, "answer", object, where), f"{where}.answer"),
            category=kind,
            evidence=tuple(
                turn.id for turn, holds in zip(turns, _flags(record), strict=True) if holds
            ),
            asked_at=date(
                get(record, "question_date", str, where),
                longmemeval.TIME,
                f"{where}.question_date",
            ),
        )
        return Entry(where, self._split_of[name], name, turns, [asked])

    def _check_form(self, record: Record, where: str) -> None:
        """Numbers of the oracle file must not pass for numbers of S: it has evidence only."""
        evidence = get(record, "answer_session_ids", list, where)
        sessions = get(record, "haystack_session_ids", list, where)
        found = "oracle" if all(session in evidence for session in sessions) else "s"
        if found != self.form:
            raise InvalidInput(
                f"{where}.haystack_session_ids",
                f"this is an instance of the form {found!r}: open it as longmemeval-{found}",
            )

    @property
    def _split_path(self) -> Path:
        if self.split_file is None:
            raise ConfigError(
                f"{self.name} needs the option split_file: the paper's longmemeval_s_splits.json"
            )
        return existing(Path(self.split_file))

    @cached_property
    def _places(self) -> Mapping[str, int]:
        """Place in S by id."""
        return {name: place for place, name in enumerate(self._order)}

    @cached_property
    def _order(self) -> Sequence[str]:
        if self.order_file is not None:
            return read_order(existing(Path(self.order_file)))
        if self.form == "s" and not self.path.is_dir():
            return read_order(self.path)
        raise ConfigError(
            f"{self.name} needs the option order_file, as the split file holds places in "
            "longmemeval_s.json: that file, or a table of index and question_id"
        )

    @cached_property
    def _split_of(self) -> Mapping[str, str]:
        return read_splits(self._split_path, self._order)


def read_order(path: Path) -> list[str]:
    """Ids in the order of S, from a JSON file of instances or from a table.

    Raises InvalidInput for a table whose `index` does not count from 0, or an id that comes twice.
    """
    if path.suffix == ".json":
        ids = [get(record, "question_id", str, where) for where, record in json_records(path)]
    else:
        ids = _table(path)
    for place, name in enumerate(ids):
        if ids.index(name) != place:
            raise InvalidInput(f"{path.name}[{place}]", f"{name!r} comes twice")
    return ids


def _table(path: Path) -> list[str]:
    rows = csv.DictReader((line for _, line in text_lines(path)), delimiter="\t")
    lacking = {"index", "question_id"} - set(rows.fieldnames or ())
    if lacking:
        raise InvalidInput(f"{path.name} line 1", f"no column {', '.join(sorted(lacking))}")
    ids = []
    for place, row in enumerate(rows):
        where = f"{path.name} line {rows.line_num}"
        if row["index"] != str(place):
            raise InvalidInput(where, f"index {row['index']}, not {place}")
        ids.append(filled(row["question_id"], f"{where}.question_id"))
    return ids


def read_splits(path: Path, order: Sequence[str]) -> dict[str, str]:
    """Split by id, from lists `train`, `val` and `test` of places in `order`.

    Raises InvalidInput for a place that does not exist or is in two places of the lists.
    """
    records = list(json_records(path))
    if len(records) != 1:
        raise InvalidInput(path.name, "must be one object with the lists train, val and test")
    ((where, record),) = records
    found: dict[str, str] = {}
    for key, split in _KEYS.items():
        for index, raw in enumerate(get(record, key, list, where)):
            field = f"{path.name}.{key}[{index}]"
            place = expect(raw, int, field)
            if not 0 <= place < len(order):
                raise InvalidInput(field, f"no place {place}: the order has {len(order)}")
            if order[place] in found:
                raise InvalidInput(field, f"place {place} is in {found[order[place]]!r} already")
            found[order[place]] = split
    return found


def _flags(record: Record) -> list[bool]:
    """Whether a turn holds the answer, for every turn of a haystack that was read already."""
    return [
        turn.get("has_answer") is True
        for session in record["haystack_sessions"]
        for turn in session
    ]
