"""What PostgresStore changes in its tables; every function runs in the caller's transaction."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from psycopg import errors

from budgetmem.backbone import Vectors
from budgetmem.chunking import Unit, session_of
from budgetmem.errors import Conflict
from budgetmem.store import rows
from budgetmem.store.base import SessionChange, Settings, first_version
from budgetmem.store.postgres import queries
from budgetmem.store.postgres.database import Connection
from budgetmem.store.postgres.queries import History
from budgetmem.store.words import tokenized

_OWN = {"tenant": "text", "history": "int8"}
_TURNS = {
    **_OWN,
    **dict.fromkeys((*rows.TURN_COLUMNS.split(", "), "grouped"), "text"),
    "instant": "float8",
}
_UNITS = {
    **_OWN,
    "id": "text",
    "session": "text",
    "first": "int4",
    "focus": "int4",
    "lines": "text",
    "tokens": "int4",
    "turn_ids": "text[]",
}
_VECTORS = {**_OWN, "unit": "text", "vector": "vector"}
_WORDS = {**_OWN, "unit": "text", "words": "text[]", "length": "int4"}
"""Columns with their types."""


def create(db: Connection, tenant: str, name: str) -> History:
    """Raises Conflict if it is there, or is being made."""
    epoch = secrets.token_hex(8)
    row = db.execute(
        "INSERT INTO histories (tenant, name, epoch) VALUES (%s, %s, %s)"
        " ON CONFLICT DO NOTHING RETURNING id",
        (tenant, name, epoch),
    ).fetchone()
    if row is None:
        raise Conflict(f"history {name!r} was created meanwhile")
    return History(tenant, row["id"], epoch, None)


def put_settings(db: Connection, of: History, settings: Settings) -> None:
    """Records what the units are made with."""
    packed = json.dumps(asdict(settings))
    db.execute("UPDATE histories SET settings = %s WHERE id = %s", (packed, of.id))


def forget_units(db: Connection, of: History) -> None:
    """Removes the units, vectors and words; the history gets a new epoch."""
    db.execute("DELETE FROM units WHERE history = %s", (of.id,))
    new = secrets.token_hex(8)
    db.execute("UPDATE histories SET epoch = %s WHERE id = %s", (new, of.id))


def erase(db: Connection, of: History, tables: Iterable[str]) -> dict[str, int]:
    """Removes the history with all its rows; how many there were, by table."""
    removed = {
        table: db.execute(f"DELETE FROM {table} WHERE history = %s", (of.id,)).rowcount
        for table in tables
    }
    db.execute("DELETE FROM histories WHERE id = %s", (of.id,))
    return removed


def apply_all(db: Connection, of: History, changes: Sequence[SessionChange]) -> None:
    """Writes the changes. Raises Conflict if a session is not as its change expects it, or one of
    the turns is there already."""
    try:
        for change in changes:
            _apply(db, of, change)
    except errors.UniqueViolation:
        # Its message quotes the id.
        raise Conflict("a turn was added meanwhile") from None
    added = [rows.turn_row(turn) for change in changes for turn in change.turns]
    _resize(db, of, len(added), _bytes(added))


def _apply(db: Connection, of: History, change: SessionChange) -> None:
    if change.version not in (None, queries.session_version(db, of, change.session)):
        raise Conflict(f"session {change.session!r} was written to meanwhile")
    times = [time for turn in change.turns if (time := queries.instant_of(turn)) is not None]
    db.execute(
        "INSERT INTO sessions (tenant, history, name, version, started)"
        " VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (history, name) DO UPDATE SET version = sessions.version + 1,"
        " started = least(sessions.started, excluded.started)",
        (of.tenant, of.id, change.session, first_version(), min(times, default=None)),
    )
    _copy(
        db,
        "turns",
        _TURNS,
        (
            (of.tenant, of.id, *rows.turn_row(turn), session_of(turn), queries.instant_of(turn))
            for turn in change.turns
        ),
    )
    if change.erased:
        _erase_turns(db, of, change)
    if change.removed:
        db.execute(
            "DELETE FROM units WHERE history = %s AND id = ANY(%s)", (of.id, list(change.removed))
        )
    if change.added:
        _add_units(db, of, change.added)


def _erase_turns(db: Connection, of: History, change: SessionChange) -> None:
    """Removes turns of a session, and the session if it is empty then."""
    gone = db.execute(
        f"DELETE FROM turns WHERE history = %s AND id = ANY(%s) RETURNING {rows.TURN_COLUMNS}",
        (of.id, list(change.erased)),
    ).fetchall()
    _resize(db, of, -len(gone), -_bytes(row.values() for row in gone))
    where = "history = %(history)s AND name = %(name)s"
    started = "SELECT min(instant) FROM turns WHERE history = %(history)s AND grouped = %(name)s"
    session = {"history": of.id, "name": change.session}
    db.execute(f"UPDATE sessions SET started = ({started}) WHERE {where}", session)
    db.execute(
        f"DELETE FROM sessions WHERE {where} AND NOT EXISTS"
        " (SELECT FROM turns WHERE history = %(history)s AND grouped = %(name)s)",
        session,
    )


def _resize(db: Connection, of: History, turns: int, bytes_: int) -> None:
    db.execute(
        "UPDATE histories SET turns = turns + %s, bytes = bytes + %s WHERE id = %s",
        (turns, bytes_, of.id),
    )


def _bytes(turns: Iterable[Iterable[str | None]]) -> int:
    """How much these rows take."""
    return sum(len(text.encode()) for row in turns for text in row if text is not None)


def _add_units(db: Connection, of: History, added: Sequence[tuple[Unit, Vectors]]) -> None:
    key = (of.tenant, of.id)
    _copy(
        db,
        "units",
        _UNITS,
        (
            (*key, *rows.unit_row(unit), list(dict.fromkeys(line.turn_id for line in unit.lines)))
            for unit, _ in added
        ),
    )
    _copy(db, "vectors", _VECTORS, ((*key, unit.id, vector) for unit, vector in added))
    words = tokenized([rows.indexed_words(unit) for unit, _ in added])
    _copy(
        db,
        "words",
        _WORDS,
        ((*key, unit.id, found, len(found)) for (unit, _), found in zip(added, words, strict=True)),
    )


def _copy(
    db: Connection, table: str, columns: Mapping[str, str], values: Iterable[Sequence[object]]
) -> None:
    into = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    with db.cursor() as cursor, cursor.copy(into) as copy:
        copy.set_types(list(columns.values()))
        for row in values:
            copy.write_row(row)
