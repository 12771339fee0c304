"""A dataset of one's own: notebooks of several people, and questions about them.

    python -m examples.own_dataset

shows what is in `notebooks.jsonl`. Whatever opens datasets by name opens this one as
`examples.own_dataset:Notebooks`. See docs/datasets.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from budgetmem.errors import InvalidInput
from budgetmem.importers.base import Record, date, expect, get, json_records
from budgetmem.types import Turn
from training.datasets import open_dataset  # noqa: TID251 - an example of how to extend it
from training.datasets.base import Entry, FileDataset, Question  # noqa: TID251
from training.datasets.metrics import token_f1  # noqa: TID251

NOTEBOOKS = Path(__file__).parent / "notebooks.jsonl"


@dataclass(frozen=True)
class Notebooks(FileDataset):
    """A JSON line a notebook: `name`, `split`, `notes` and `questions`."""

    path: Path

    @property
    def name(self) -> str:
        """`notebooks`."""
        return "notebooks"

    def files(self) -> Sequence[Path]:
        """The one file."""
        return (self.path,)

    def entries(self) -> Iterator[Entry]:
        """An entry a notebook; all other checks are the base class's."""
        for where, record in json_records(self.path):
            name = get(record, "name", str, where)
            turns = [_turn(*each) for each in _objects(record, "notes", where)]
            questions = [
                _question(name, number, turns, *each)
                for number, each in enumerate(_objects(record, "questions", where))
            ]
            yield Entry(where, get(record, "split", str, where), name, turns, questions)

    def score(self, question: Question, prediction: str) -> float:
        """Token F1."""
        return token_f1(prediction, question.gold)


def _objects(record: Record, key: str, where: str) -> list[tuple[Record, str]]:
    """The objects of a list, each with its place."""
    found: list[tuple[Record, str]] = []
    for index, raw in enumerate(get(record, key, list, where)):
        place = f"{where}.{key}[{index}]"
        found.append((expect(raw, dict, place), place))
    return found


def _turn(note: Record, where: str) -> Turn:
    day = get(note, "day", str, where)
    return Turn(
        id=where.rpartition(".")[2],
        speaker=get(note, "author", str, where),
        text=get(note, "text", str, where),
        time=date(day, "%Y-%m-%d", f"{where}.day"),
        session=day,
    )


def _question(
    history: str, number: int, turns: Sequence[Turn], record: Record, where: str
) -> Question:
    evidence = []
    for index, raw in enumerate(get(record, "notes", list, where)):
        place = expect(raw, int, f"{where}.notes[{index}]")
        if not 0 <= place < len(turns):
            raise InvalidInput(f"{where}.notes[{index}]", f"there is no note {place}")
        evidence.append(turns[place].id)
    return Question(
        id=f"{history}-q{number}",
        history=history,
        text=get(record, "ask", str, where),
        gold=get(record, "answer", str, where),
        category="note",
        evidence=tuple(evidence),
    )


def main() -> None:
    """Opens the dataset by name and shows its splits."""
    dataset = open_dataset("examples.own_dataset:Notebooks", NOTEBOOKS)
    table = Table("split", "history", "turns", "question", "gold", "F1 of 'on Thursday'")
    histories = dataset.histories()
    for split in dataset.splits:
        for asked in dataset.questions(split):
            score = f"{dataset.score(asked, 'on Thursday'):.2f}"
            turns = str(len(histories[asked.history]))
            table.add_row(split, asked.history, turns, asked.text, asked.gold, score)
    Console().print(table)


if __name__ == "__main__":
    main()
