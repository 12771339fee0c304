"""Turns, units and vectors as rows, and back; the tables of SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from budgetmem.backbone import Vectors
from budgetmem.chunking import Line, Unit
from budgetmem.periods import prose
from budgetmem.store.words import TOKENIZER
from budgetmem.types import Turn

VERSION = 1

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (
    seq INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, started REAL
);
CREATE TABLE turns (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, session TEXT NOT NULL,
    grouped TEXT NOT NULL, speaker TEXT NOT NULL, text TEXT NOT NULL, time TEXT, instant REAL,
    caption TEXT, metadata TEXT NOT NULL
);
CREATE INDEX turns_by_session ON turns (grouped, seq);
CREATE TABLE units (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, session TEXT NOT NULL,
    first INTEGER NOT NULL, focus INTEGER, lines TEXT NOT NULL, tokens INTEGER NOT NULL,
    vector BLOB NOT NULL
);
CREATE INDEX units_by_session ON units (session);
"""
"""`session` of a turn is what the caller gave, `grouped` what it fell under."""

WORDS = f"CREATE VIRTUAL TABLE words USING fts5(text, tokenize = '{TOKENIZER}')"

ROW_TABLES = ("turns", "units", "words", "sessions")

TURN_COLUMNS = "id, speaker, text, time, session, caption, metadata"
UNIT_COLUMNS = "id, session, first, focus, lines, tokens"


def _bytes(row: str = "") -> str:
    """How much a row of `turns` takes: SQLite's length() of a text counts characters, of a blob
    bytes."""
    columns = TURN_COLUMNS.split(", ")
    return " + ".join(f"coalesce(length(CAST({row}{name} AS BLOB)), 0)" for name in columns)


TURN_BYTES = _bytes()
"""SQL of that."""


def _kept(name: str, event: str, sign: str, row: str) -> str:
    return (
        f"CREATE TRIGGER {name} AFTER {event} ON turns BEGIN"
        f" UPDATE meta SET value = value {sign} 1 WHERE key = 'turns';"
        f" UPDATE meta SET value = value {sign} ({_bytes(row)}) WHERE key = 'bytes'; END"
    )


TOTALS = (
    f"INSERT INTO meta SELECT 'turns', count(*) FROM turns"
    f" UNION ALL SELECT 'bytes', coalesce(sum({TURN_BYTES}), 0) FROM turns",
    _kept("turn_added", "INSERT", "+", "new."),
    _kept("turn_removed", "DELETE", "-", "old."),
)
"""Counts the turns and their bytes once, and keeps the counts in `meta` right from then on."""


class Unreadable(ValueError):
    """A row that does not say what was written into it. The message quotes nothing of it."""


@contextmanager
def decoding() -> Iterator[None]:
    """Around the reading of what a row holds, and nothing else. Raises Unreadable."""
    try:
        yield
    except (ValueError, TypeError):
        # Its own message may quote the row.
        raise Unreadable("a row cannot be read") from None


class Row(Protocol):
    """A row of either database: values by the names of columns."""

    def __getitem__(self, column: str, /) -> Any: ...  # noqa: ANN401 - whatever the column holds


def turn_row(turn: Turn) -> tuple[str | None, ...]:
    """Values of TURN_COLUMNS."""
    time = None if turn.time is None else turn.time.isoformat()
    metadata = json.dumps(dict(turn.metadata), ensure_ascii=False, sort_keys=True)
    return (turn.id, turn.speaker, turn.text, time, turn.session, turn.caption, metadata)


@decoding()
def turn_from(row: Row) -> Turn:
    """A turn from TURN_COLUMNS."""
    return Turn(
        id=_text(row["id"]),
        speaker=_text(row["speaker"]),
        text=_text(row["text"]),
        time=time_from(row["time"]),
        session=_text(row["session"]),
        caption=None if row["caption"] is None else _text(row["caption"]),
        metadata=dict(json.loads(row["metadata"])),
    )


def unit_row(unit: Unit) -> tuple[str | int | None, ...]:
    """Values of UNIT_COLUMNS."""
    lines = [
        [line.turn_id, line.text, line.tokens, None if line.time is None else line.time.isoformat()]
        for line in unit.lines
    ]
    packed = json.dumps(lines, ensure_ascii=False)
    return (unit.id, unit.session, unit.first, unit.focus, packed, unit.tokens)


@decoding()
def unit_from(row: Row) -> Unit:
    """A unit from UNIT_COLUMNS."""
    lines = tuple(
        Line(turn_id, text, tokens, time_from(time))
        for turn_id, text, tokens, time in json.loads(row["lines"])
    )
    return Unit(row["id"], row["session"], row["first"], row["focus"], lines, row["tokens"])


def indexed_words(unit: Unit) -> str:
    """What the keyword index holds of a unit: its lines, under the date as people write it.

    On LoCoMo the date finds one to two more of a hundred evidence turns (docs/benchmarks).
    """
    day = "" if unit.time is None else f"{prose(unit.time)}\n"
    return day + unit.text


def blob(vector: Vectors) -> bytes:
    """Little-endian float32, whatever the machine."""
    return vector.astype("<f4").tobytes()


@decoding()
def vector(blob: bytes) -> Vectors:
    """float32 [dimension], as `blob` wrote it."""
    return np.frombuffer(blob, dtype="<f4").astype(np.float32, copy=False)


@decoding()
def matrix(blobs: Iterable[bytes], dimension: int) -> Vectors:
    """float32 [number of blobs, dimension]."""
    flat = np.frombuffer(b"".join(blobs), dtype="<f4").astype(np.float32, copy=False)
    return flat.reshape(-1, dimension)


def match_expression(words: Iterable[str]) -> str:
    """An FTS5 query for any of the words, each quoted, so that none can act as an operator."""
    return " OR ".join('"' + word.replace('"', '""') + '"' for word in words)


@decoding()
def time_from(written: str | None) -> datetime | None:
    """A time as `turn_row` wrote it, zone or no zone."""
    return None if written is None else datetime.fromisoformat(written)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text is due")
    return value
