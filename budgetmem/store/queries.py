"""What SqliteStore asks of one history's file; every function runs in the caller's transaction."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from budgetmem.chunking import Unit, instant, session_of
from budgetmem.errors import ConfigError, Conflict
from budgetmem.ranking import Ranked, nearest
from budgetmem.store import rows
from budgetmem.store.base import SessionChange, SessionState, Settings, Size, first_version
from budgetmem.store.paging import Page, page_of
from budgetmem.types import Turn


def has_schema(db: sqlite3.Connection, path: Path) -> bool:
    """False for a file that was never filled. Raises ConfigError for a newer or a foreign file."""
    if one(db, "SELECT 1 FROM sqlite_master WHERE name = 'meta'") is None:
        return False
    with rows.decoding():
        version = int(meta(db, "version"))
    if version > rows.VERSION:
        raise ConfigError(
            f"{path}: written by a newer BudgetMem (store version {version}, this one knows "
            f"{rows.VERSION})"
        )
    return True


def create(db: sqlite3.Connection, history: str) -> None:
    """Fills an empty file. Raises Conflict if it is not empty."""
    if one(db, "SELECT 1 FROM sqlite_master WHERE name = 'meta'") is not None:
        raise Conflict(f"history {history!r} was created meanwhile")
    for statement in [*rows.SCHEMA.split(";"), rows.WORDS]:
        db.execute(statement)
    keep_totals(db)
    put_meta(db, "version", str(rows.VERSION))
    put_meta(db, "epoch", secrets.token_hex(8))


def erase(db: sqlite3.Connection) -> None:
    """Removes every row of every table; the history gets a new epoch."""
    forget_units(db)
    db.execute("DELETE FROM turns")
    db.execute("DELETE FROM sessions")


def forget_units(db: sqlite3.Connection) -> None:
    """Removes the units, vectors and indexed words; the history gets a new epoch."""
    db.execute("DELETE FROM units")
    # Rows deleted from an FTS5 table linger in its segments; dropping it erases those too.
    db.execute("DROP TABLE words")
    db.execute(rows.WORDS)
    put_meta(db, "epoch", secrets.token_hex(8))


def apply(db: sqlite3.Connection, change: SessionChange) -> None:
    """Writes one change. Raises Conflict if the session is not as the change expects it."""
    if change.version not in (None, session_version(db, change.session)):
        raise Conflict(f"session {change.session!r} was written to meanwhile")
    times = [instant(turn.time).timestamp() for turn in change.turns if turn.time is not None]
    db.execute(
        "INSERT INTO sessions (name, version, started) VALUES (?, ?, ?) ON CONFLICT (name) DO"
        " UPDATE SET version = version + 1, started ="
        " coalesce(min(started, excluded.started), started, excluded.started)",
        (change.session, first_version(), min(times, default=None)),
    )
    for turn in change.turns:
        stamp = None if turn.time is None else instant(turn.time).timestamp()
        db.execute(
            f"INSERT INTO turns ({rows.TURN_COLUMNS}, grouped, instant)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*rows.turn_row(turn), session_of(turn), stamp),
        )
    if change.erased:
        erase_turns(db, change)
    for name in change.removed:
        seq = one(db, "DELETE FROM units WHERE id = ? RETURNING seq", name)
        db.execute("DELETE FROM words WHERE rowid = ?", (seq,))
    for unit, vector in change.added:
        added = db.execute(
            f"INSERT INTO units ({rows.UNIT_COLUMNS}, vector) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*rows.unit_row(unit), rows.blob(vector)),
        )
        db.execute(
            "INSERT INTO words (rowid, text) VALUES (?, ?)",
            (added.lastrowid, rows.indexed_words(unit)),
        )


def erase_turns(db: sqlite3.Connection, change: SessionChange) -> None:
    """Removes turns of a session, and the session if it is empty then."""
    erased = json.dumps(sorted(change.erased))
    db.execute("DELETE FROM turns WHERE id IN (SELECT value FROM json_each(?))", (erased,))
    started = one(db, "SELECT min(instant) FROM turns WHERE grouped = ?", change.session)
    db.execute("UPDATE sessions SET started = ? WHERE name = ?", (started, change.session))
    if one(db, "SELECT 1 FROM turns WHERE grouped = ? LIMIT 1", change.session) is None:
        db.execute("DELETE FROM sessions WHERE name = ?", (change.session,))


def forget_words(db: sqlite3.Connection) -> None:
    """Makes the keyword index anew: rows deleted from an FTS5 table linger in its segments."""
    db.execute("INSERT INTO words (words) VALUES ('rebuild')")


def traces(db: sqlite3.Connection, turn_ids: Collection[str]) -> int:
    """Turns with these ids, and units with a line of one of them."""
    ids = json.dumps(sorted(turn_ids))
    turns = one(db, "SELECT count(*) FROM turns WHERE id IN (SELECT value FROM json_each(?))", ids)
    units = one(
        db,
        "SELECT count(DISTINCT units.seq) FROM units, json_each(units.lines) AS line"
        " WHERE json_extract(line.value, '$[0]') IN (SELECT value FROM json_each(?))",
        ids,
    )
    return int(turns) + int(units)


def by_vector(
    db: sqlite3.Connection, vector: NDArray[np.float32], limit: int
) -> tuple[Ranked, ...]:
    """The best units by inner product."""
    # A vector of another length is of another encoder; the caller compares the settings.
    found = db.execute(
        "SELECT id, vector FROM units WHERE length(vector) = ? ORDER BY id",
        (len(rows.blob(vector)),),
    ).fetchall()
    matrix = rows.matrix((row["vector"] for row in found), len(vector))
    return nearest([row["id"] for row in found], matrix, vector, limit)


def by_words(db: sqlite3.Connection, words: Sequence[str], limit: int) -> tuple[Ranked, ...]:
    """The best units by BM25; a unit with none of the words is not among them."""
    found = db.execute(
        "SELECT units.id AS id, found.score AS score FROM ("
        " SELECT rowid, bm25(words) AS score FROM words WHERE words MATCH ?"
        ") AS found JOIN units ON units.seq = found.rowid ORDER BY found.score, units.id LIMIT ?",
        (rows.match_expression(words), limit),
    )
    # FTS5 gives better matches lower numbers.
    return tuple((row["id"], -row["score"]) for row in found)


def units(db: sqlite3.Connection, ids: Collection[str]) -> dict[str, Unit]:
    """The named units, by id."""
    found = db.execute(
        f"SELECT {rows.UNIT_COLUMNS} FROM units WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(ids)),),
    )
    return {row["id"]: rows.unit_from(row) for row in found}


def vectors(db: sqlite3.Connection, ids: Collection[str]) -> dict[str, NDArray[np.float32]]:
    """The vectors of the named units, by id."""
    found = db.execute(
        "SELECT id, vector FROM units WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(ids)),),
    )
    return {row["id"]: rows.vector(row["vector"]) for row in found}


def page(db: sqlite3.Connection, after: int) -> Page:
    """The turns that follow a place, as many as a page may have."""
    found = db.execute(
        f"SELECT {rows.TURN_COLUMNS} FROM turns WHERE seq > ? ORDER BY seq", (after,)
    )
    turns = page_of(map(rows.turn_from, found))
    end = one(db, "SELECT seq FROM turns WHERE id = ?", turns[-1].id) if turns else after
    return Page(meta(db, "epoch"), end, turns)


def session_names(db: sqlite3.Connection) -> tuple[str, ...]:
    """All sessions in time order, by arrival where no time is known."""
    found = db.execute("SELECT name FROM sessions ORDER BY started IS NULL, started, seq")
    return tuple(row["name"] for row in found)


def time_span(db: sqlite3.Connection) -> tuple[datetime | None, datetime | None]:
    """The earliest and the latest time of a turn."""
    first, last = (
        one(db, f"SELECT time FROM turns WHERE instant NOTNULL ORDER BY instant {way}")
        for way in ("ASC", "DESC")
    )
    return rows.time_from(first), rows.time_from(last)


def sessions_of(db: sqlite3.Connection, turn_ids: Collection[str]) -> list[str]:
    """The sessions that hold any of these turns, sorted."""
    found = db.execute(
        "SELECT DISTINCT grouped FROM turns WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(turn_ids)),),
    )
    return sorted(row["grouped"] for row in found)


def turns_beside(
    db: sqlite3.Connection, turn_ids: Collection[str], sessions: Collection[str]
) -> Iterator[Turn]:
    """Those of these turns that are in none of the sessions."""
    found = db.execute(
        f"SELECT {rows.TURN_COLUMNS} FROM turns WHERE id IN (SELECT value FROM json_each(?))"
        " AND grouped NOT IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(turn_ids)), json.dumps(sorted(sessions))),
    )
    return map(rows.turn_from, found)


def session(db: sqlite3.Connection, name: str) -> SessionState:
    """A session as it is; version 0 if there is none."""
    turns = db.execute(
        f"SELECT {rows.TURN_COLUMNS} FROM turns WHERE grouped = ? ORDER BY seq", (name,)
    )
    units = db.execute("SELECT id FROM units WHERE session = ?", (name,))
    return SessionState(
        version=session_version(db, name),
        turns=tuple(rows.turn_from(row) for row in turns),
        unit_ids=frozenset(row["id"] for row in units),
    )


def session_version(db: sqlite3.Connection, name: str) -> int:
    """0 if there is no such session."""
    version: int | None = one(db, "SELECT version FROM sessions WHERE name = ?", name)
    return version or 0


def holds_turns(db: sqlite3.Connection) -> bool:
    """Whether there is any turn."""
    return one(db, "SELECT 1 FROM turns LIMIT 1") is not None


def count(db: sqlite3.Connection, table: str) -> int:
    """Number of rows."""
    return int(one(db, f"SELECT count(*) FROM {table}"))


def size(db: sqlite3.Connection) -> Size:
    """How much the turns take. A file of before there were totals gets them."""
    if one(db, "SELECT 1 FROM meta WHERE key = 'bytes'") is None:
        keep_totals(db)
    with rows.decoding():
        return Size(int(meta(db, "turns")), int(meta(db, "bytes")))


def size_of(db: sqlite3.Connection, sessions: Collection[str], turn_ids: Collection[str]) -> Size:
    """How much the turns of these sessions, and these turns, take."""
    turns, bytes_ = db.execute(
        f"SELECT count(*), coalesce(sum({rows.TURN_BYTES}), 0) FROM turns"
        " WHERE grouped IN (SELECT value FROM json_each(?))"
        " OR id IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(sessions)), json.dumps(sorted(turn_ids))),
    ).fetchone()
    return Size(turns, bytes_)


def keep_totals(db: sqlite3.Connection) -> None:
    """From now on the file keeps count of its turns itself, whoever writes to it."""
    for statement in rows.TOTALS:
        db.execute(statement)


def settings(db: sqlite3.Connection) -> Settings:
    """What the units were made with."""
    with rows.decoding():
        return Settings(**json.loads(meta(db, "settings")))


def put_settings(db: sqlite3.Connection, settings: Settings) -> None:
    """Records what the units are made with."""
    put_meta(db, "settings", json.dumps(asdict(settings)))


def meta(db: sqlite3.Connection, key: str) -> str:
    """A value that every file has."""
    return str(one(db, "SELECT value FROM meta WHERE key = ?", key))


def put_meta(db: sqlite3.Connection, key: str, value: str) -> None:
    """Sets such a value."""
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


def one(db: sqlite3.Connection, query: str, *values: str) -> Any:  # noqa: ANN401 - whatever SQLite holds there
    """The first column of the first row, None if there is no row."""
    row = db.execute(query, values).fetchone()
    return None if row is None else row[0]
