"""How PostgresStore writes a change; every function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from psycopg import errors

from budgetmem.backbone import Vectors
from budgetmem.chunking import Unit, session_of
from budgetmem.errors import Conflict
from budgetmem.store import rows
from budgetmem.store.base import SessionChange
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


def apply_all(db: Connection, of: History, changes: Sequence[SessionChange]) -> None:
    """Writes the changes. Raises Conflict if a session is not as its change expects it, or one of
    the turns is there already."""
    try:
        for change in changes:
            _apply(db, of, change)
    except errors.UniqueViolation:
        # Its message quotes the id.
        raise Conflict("a turn was added meanwhile") from None


def _apply(db: Connection, of: History, change: SessionChange) -> None:
    if queries.session_version(db, of, change.session) != change.version:
        raise Conflict(f"session {change.session!r} was written to meanwhile")
    times = [time for turn in change.turns if (time := queries.instant_of(turn)) is not None]
    db.execute(
        "INSERT INTO sessions (tenant, history, name, version, started) VALUES (%s, %s, %s, 1, %s)"
        " ON CONFLICT (history, name) DO UPDATE SET version = sessions.version + 1,"
        " started = least(sessions.started, excluded.started)",
        (of.tenant, of.id, change.session, min(times, default=None)),
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
    _add_units(db, of, change.added)


def _erase_turns(db: Connection, of: History, change: SessionChange) -> None:
    """Removes turns of a session, and the session if it is empty then."""
    db.execute(
        "DELETE FROM turns WHERE history = %s AND id = ANY(%s)", (of.id, list(change.erased))
    )
    where = "history = %(history)s AND name = %(name)s"
    started = "SELECT min(instant) FROM turns WHERE history = %(history)s AND grouped = %(name)s"
    session = {"history": of.id, "name": change.session}
    db.execute(
        f"UPDATE sessions SET started = ({started}) WHERE {where}",
        session,
    )
    db.execute(
        f"DELETE FROM sessions WHERE {where} AND NOT EXISTS"
        " (SELECT FROM turns WHERE history = %(history)s AND grouped = %(name)s)",
        session,
    )


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
