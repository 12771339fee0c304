"""Files for the importers: any bytes, and JSON of the form that is asked for with any values.

Importers raise InvalidInput and NotFound for what they cannot read, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.chaos.fuzz.source import Source
from budgetmem.errors import InvalidInput, NotFound
from budgetmem.importers import IMPORTERS, Importer
from budgetmem.validation import check_turns

SUFFIXES: Mapping[str, Sequence[str]] = {
    "jsonl": (".jsonl",),
    "locomo": (".json", ".jsonl"),
    "longmemeval": (".json", ".jsonl"),
    "hotpotqa": (".json", ".jsonl"),
    "transcript": (".txt",),
}
SELECTED = (None, "input", "a", "")

LOCOMO_TIME, LONGMEMEVAL_TIME = "1:56 pm on 8 May, 2023", "2023/05/20 (Sat) 02:21"
STRINGS = (
    "a",
    "",
    LOCOMO_TIME,
    LONGMEMEVAL_TIME,
    "2023-05-08T13:56:00Z",
    "9999-12-31T23:59:59-23:59",
    "1:56 pm on 31 February, 0000",
    "Document 1:\nAna\nmoved. ",
    "\ud800",
    "\0",
    "9" * 5000,
)
KEYS = ("session_1", "session_1_date_time", "session_٣", "session_01", f"session_{'9' * 5000}")

Make = Callable[[Source], Any]
Written = Callable[[Source], str]


def read(importer: Importer, path: Path, select: str | None) -> None:
    """Reads a file as the command line does, and has the turns checked as a store does."""
    with suppress(InvalidInput, NotFound):
        for turns in importer(path, select).values():
            check_turns(turns)


def bytes_as_file(name: str, folder: Path) -> Callable[[bytes], None]:
    """A target for one importer: the first bytes say what the file is called, and what is picked
    from it."""

    def target(data: bytes) -> None:
        source = Source(data)
        path, select = _chosen(name, folder, source)
        path.write_bytes(source.rest())
        read(IMPORTERS[name], path, select)

    return target


def formed_file(name: str, folder: Path) -> Callable[[bytes], None]:
    """A target for one importer: files of its form, more or less."""

    def target(data: bytes) -> None:
        source = Source(data)
        path, select = _chosen(name, folder, source)
        path.write_text(FORMS[name](source), encoding="utf-8", newline="\n")
        read(IMPORTERS[name], path, select)

    return target


def _chosen(name: str, folder: Path, source: Source) -> tuple[Path, str | None]:
    return folder / f"input{source.pick(SUFFIXES[name])}", source.pick(SELECTED)


def text(source: Source) -> Any:  # noqa: ANN401 - any JSON
    """A string as a rule."""
    return source.text(STRINGS) if source.below(8) else anything(source)


def anything(source: Source, depth: int = 3) -> Any:  # noqa: ANN401 - any JSON
    """Any JSON value."""
    kind = source.below(8 if depth else 6)
    plain = (None, True, source.integer, source.real, lambda: source.text(STRINGS), -1)
    if kind < len(plain):
        value = plain[kind]
        return value() if callable(value) else value
    if kind == 6:
        return [anything(source, depth - 1) for _ in source.times(3)]
    return {source.text(STRINGS): anything(source, depth - 1) for _ in source.times(3)}


def some(make: Make, most: int = 3) -> Make:
    """A list as a rule."""

    def made(source: Source) -> Any:  # noqa: ANN401 - any JSON
        return [make(source) for _ in source.times(most)] if source.below(8) else anything(source)

    return made


def record(**fields: Make) -> Make:
    """An object; now and then a field is not there, or one is that nobody knows."""

    def made(source: Source) -> Any:  # noqa: ANN401 - any JSON
        found = {name: make(source) for name, make in fields.items() if source.below(8) != 1}
        if source.below(16) == 1:
            found[source.text(STRINGS)] = anything(source)
        return found

    return made


_TURN = record(
    id=text, speaker=text, text=text, time=text, session=text, caption=text, metadata=anything
)
_SAID = record(dia_id=text, speaker=text, text=text, blip_caption=text)
_HAYSTACK = record(
    question_id=text,
    haystack_session_ids=some(text),
    haystack_dates=some(lambda source: source.pick((LONGMEMEVAL_TIME, *STRINGS))),
    haystack_sessions=some(some(record(role=text, content=text))),
)
_DOCUMENTS: Sequence[Make] = (
    record(_id=text, context=some(lambda source: [text(source), some(text)(source)])),
    record(id=text, context=record(title=some(text), sentences=some(some(text)))),
    record(index=anything, docs=some(record(title=text, text=text))),
    record(context=text),
)


def _conversation(source: Source) -> Any:  # noqa: ANN401 - any JSON
    talk: dict[str, Any] = {"session_1_date_time": LOCOMO_TIME}
    for _ in source.times(4):
        talk[source.pick(KEYS)] = source.pick((some(_SAID), text))(source)
    return {"sample_id": text(source), "conversation": talk}


def _lines(make: Make) -> Written:
    """JSON values, one a line."""
    return lambda source: "\n".join(json.dumps(make(source)) for _ in source.times(4))


def _listed(make: Make) -> Written:
    return lambda source: json.dumps([make(source) for _ in source.times(3)])


def _transcript(source: Source) -> str:
    parts = ("Ana: ", "\n", "\n\n", "2023-05-08 14:00\n", "[8 May 2023]\n", "# May 8, 2023, 2 PM\n")
    return source.text((*parts, "auguſt 8, 2023\n", "10:30 https://a.b: ", "\x85", "\r"), most=16)


WORDS = (
    *(each for each in STRINGS if each != "\ud800"),
    *KEYS,
    "[" * 3000,
    '"\\ud800"',
    "null",
    "1e999",
)

FORMS: Mapping[str, Written] = {
    "jsonl": _lines(_TURN),
    "locomo": _listed(_conversation),
    "longmemeval": _listed(_HAYSTACK),
    "hotpotqa": _listed(lambda source: source.pick(_DOCUMENTS)(source)),
    "transcript": _transcript,
}
"""A file of each format."""
