"""What PostgresStore reads in its tables; every function runs in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from budgetmem.backbone import Vectors
from budgetmem.chunking import Unit, instant
from budgetmem.ranking import Ranked, nearest
from budgetmem.store import rows
from budgetmem.store.base import SessionState, Settings, Size
from budgetmem.store.paging import Page, page_of
from budgetmem.store.postgres.database import Connection
from budgetmem.store.postgres.schema import check_version
from budgetmem.store.words import Corpus, ranked, tokenized
from budgetmem.types import Turn

_ROWS_AT_ONCE = 32
"""Of a page, brought from the server together."""


_TURN_BYTES = " + ".join(
    f"coalesce(octet_length({column}), 0)" for column in rows.TURN_COLUMNS.split(", ")
)
"""SQL of how much a row of `turns` takes."""


@dataclass(frozen=True)
class History:
    """A history's own row. `settings` are None as long as it holds no turns."""

    tenant: str
    id: int
    epoch: str
    settings: Settings | None


def history(db: Connection, tenant: str, name: str, *, lock: bool = False) -> History | None:
    """None if there is none. Locked, nobody else writes to it. Raises ConfigError for a newer
    version of the database."""
    # One round trip for both, and the version comes also where there is no history.
    row = db.execute(
        "SELECT store_version.version, own.id, own.epoch, own.settings FROM store_version LEFT JOIN"
        " (SELECT id, epoch, settings FROM histories WHERE tenant = %s AND name = %s"
        f" {'FOR UPDATE' if lock else ''}) AS own ON true",
        (tenant, name),
    ).fetchone()
    check_version(0 if row is None else row["version"])
    if row is None or row["id"] is None:
        return None
    settings = None if row["settings"] is None else Settings(**json.loads(row["settings"]))
    return History(tenant, row["id"], row["epoch"], settings)


def remaining(db: Connection, of: History, tables: Iterable[str]) -> int:
    """Rows that a scan finds of the history; one made anew meanwhile has another number."""
    of_rows = sum(count(db, table, of) for table in tables)
    return of_rows + int(one(db, "SELECT count(*) FROM histories WHERE id = %s", of.id))


def traces(db: Connection, of: History, turn_ids: Collection[str]) -> int:
    """Turns with these ids, and units with a line of one of them."""
    ids = _keepable(turn_ids)
    turns = one(db, "SELECT count(*) FROM turns WHERE history = %s AND id = ANY(%s)", of.id, ids)
    units = one(
        db, "SELECT count(*) FROM units WHERE history = %s AND turn_ids && %s::text[]", of.id, ids
    )
    return int(turns) + int(units)


def by_vector(db: Connection, of: History, vector: Vectors, limit: int) -> tuple[Ranked, ...]:
    """The best units by inner product."""
    # pgvector sums in another order than `nearest`, so it chooses, with room for both errors of
    # rounding (a sum of n products is off by at most n * 2**-24 of the norms' product), and the
    # order is made here. A vector of another length is of another encoder; the caller compares
    # the settings.
    slack = 2 * len(vector) * 2.0**-23 * float(np.linalg.norm(vector))
    found = db.execute(
        "WITH scored AS MATERIALIZED ("
        "  SELECT unit, -(vector <#> %(vector)s) AS score, vector_norm(vector) AS norm FROM vectors"
        "  WHERE history = %(history)s AND vector_dims(vector) = %(dimension)s"
        "), cut AS ("
        "  SELECT score FROM scored ORDER BY score DESC OFFSET %(limit)s - 1 LIMIT 1"
        ") SELECT unit, vector FROM scored JOIN vectors USING (unit)"
        " WHERE vectors.history = %(history)s AND score >= coalesce("
        "  (SELECT score FROM cut) - %(slack)s * (SELECT max(norm) FROM scored), '-Infinity'"
        ") ORDER BY unit",
        {
            "vector": vector,
            "history": of.id,
            "dimension": len(vector),
            "limit": max(limit, 1),
            "slack": slack,
        },
        binary=True,
    ).fetchall()
    matrix = np.array([row["vector"].to_numpy() for row in found], np.float32)
    return nearest([row["unit"] for row in found], matrix.reshape(-1, len(vector)), vector, limit)


def by_words(db: Connection, of: History, words: Sequence[str], limit: int) -> tuple[Ranked, ...]:
    """The best units by BM25; a unit with none of the words is not among them."""
    phrases = tokenized(words)
    some = sorted({token for phrase in phrases for token in phrase})
    found = db.execute(
        "SELECT unit, words FROM words WHERE history = %s AND words && %s::text[]", (of.id, some)
    )
    holding = [(row["unit"], row["words"]) for row in found]
    total = one(db, "SELECT sum(length) FROM words WHERE history = %s", of.id)
    corpus = Corpus(count(db, "words", of), int(total or 0))
    return ranked(phrases, holding, corpus, limit)


def units(db: Connection, of: History, ids: Collection[str]) -> dict[str, Unit]:
    """The named units, by id."""
    found = db.execute(
        f"SELECT {rows.UNIT_COLUMNS} FROM units WHERE history = %s AND id = ANY(%s)",
        (of.id, list(ids)),
    )
    return {row["id"]: rows.unit_from(row) for row in found}


def vectors(db: Connection, of: History, ids: Collection[str]) -> dict[str, Vectors]:
    """The vectors of the named units, by id."""
    found = db.execute(
        "SELECT unit, vector FROM vectors WHERE history = %s AND unit = ANY(%s)",
        (of.id, list(ids)),
        binary=True,
    )
    return {row["unit"]: row["vector"].to_numpy() for row in found}


def all_units(db: Connection, of: History) -> tuple[tuple[Unit, Vectors], ...]:
    """Every unit with its vector, in order of arrival."""
    found = db.execute(
        f"SELECT {rows.UNIT_COLUMNS}, vector FROM units"
        " JOIN vectors ON vectors.history = units.history AND vectors.unit = units.id"
        " WHERE units.history = %s ORDER BY seq",
        (of.id,),
        binary=True,
    )
    return tuple((rows.unit_from(row), row["vector"].to_numpy()) for row in found)


def all_turns(db: Connection, of: History) -> Iterator[Turn]:
    """Every turn, in order of arrival."""
    query = f"SELECT {rows.TURN_COLUMNS} FROM turns WHERE history = %s ORDER BY seq"
    return map(rows.turn_from, db.execute(query, (of.id,)))


def turns_beside(
    db: Connection, of: History, turn_ids: Collection[str], sessions: Collection[str]
) -> Iterator[Turn]:
    """Those of these turns that are in none of the sessions."""
    found = db.execute(
        f"SELECT {rows.TURN_COLUMNS} FROM turns WHERE history = %s AND id = ANY(%s)"
        " AND grouped <> ALL(%s)",
        (of.id, _keepable(turn_ids), _keepable(sessions)),
    )
    return map(rows.turn_from, found)


def sessions_of(db: Connection, of: History, turn_ids: Collection[str]) -> list[str]:
    """The sessions that hold any of these turns, sorted."""
    query = "SELECT DISTINCT grouped FROM turns WHERE history = %s AND id = ANY(%s)"
    return sorted(row["grouped"] for row in db.execute(query, (of.id, _keepable(turn_ids))))


def session_names(db: Connection, of: History) -> tuple[str, ...]:
    """All sessions in time order, by arrival where no time is known."""
    found = db.execute(
        "SELECT name FROM sessions WHERE history = %s ORDER BY started NULLS LAST, seq", (of.id,)
    )
    return tuple(row["name"] for row in found)


def session(db: Connection, of: History, name: str) -> SessionState:
    """A session as it is; version 0 if there is none."""
    turns = db.execute(
        f"SELECT {rows.TURN_COLUMNS} FROM turns WHERE history = %s AND grouped = %s ORDER BY seq",
        (of.id, name),
    )
    units = db.execute("SELECT id FROM units WHERE history = %s AND session = %s", (of.id, name))
    return SessionState(
        version=session_version(db, of, name),
        turns=tuple(rows.turn_from(row) for row in turns),
        unit_ids=frozenset(row["id"] for row in units),
    )


def session_version(db: Connection, of: History, name: str) -> int:
    """0 if there is no such session."""
    query = "SELECT version FROM sessions WHERE history = %s AND name = %s"
    return int(one(db, query, of.id, name) or 0)


def time_span(db: Connection, of: History) -> tuple[datetime | None, datetime | None]:
    """The earliest and the latest time of a turn."""
    first, last = (
        one(
            db,
            "SELECT time FROM turns WHERE history = %s AND instant IS NOT NULL"
            f" ORDER BY instant {way} LIMIT 1",
            of.id,
        )
        for way in ("ASC", "DESC")
    )
    return rows.time_from(first), rows.time_from(last)


def holds_turns(db: Connection, of: History) -> bool:
    """Whether there is any turn."""
    return one(db, "SELECT 1 FROM turns WHERE history = %s LIMIT 1", of.id) is not None


def count(db: Connection, table: str, of: History) -> int:
    """Number of rows."""
    return int(one(db, f"SELECT count(*) FROM {table} WHERE history = %s", of.id))


def page(db: Connection, of: History, after: int) -> Page:
    """The turns that follow a place, as many as a page may have."""
    # A cursor of the server's: one of the client's would bring all turns at once.
    with db.cursor("page") as found:
        found.itersize = _ROWS_AT_ONCE
        found.execute(
            f"SELECT {rows.TURN_COLUMNS} FROM turns WHERE history = %s AND seq > %s ORDER BY seq",
            (of.id, after),
        )
        turns = page_of(map(rows.turn_from, found))
    last = turns[-1].id if turns else None
    end = one(db, "SELECT seq FROM turns WHERE history = %s AND id = %s", of.id, last)
    return Page(of.epoch, after if end is None else end, turns)


def size(db: Connection, of: History) -> Size:
    """How much the turns take, as their writers keep count of it."""
    query = "SELECT turns, bytes FROM histories WHERE id = %s"
    found = db.execute(query, (of.id,)).fetchone() or {}
    return Size(found["turns"], found["bytes"])


def size_of(
    db: Connection, of: History, sessions: Collection[str], turn_ids: Collection[str]
) -> Size:
    """How much the turns of these sessions, and these turns, take."""
    query = (
        f"SELECT count(*) AS turns, coalesce(sum({_TURN_BYTES}), 0) AS bytes FROM turns"
        " WHERE history = %s AND (grouped = ANY(%s) OR id = ANY(%s))"
    )
    values = (of.id, _keepable(sessions), _keepable(turn_ids))
    found = db.execute(query, values).fetchone() or {}
    return Size(int(found["turns"]), int(found["bytes"]))


def _keepable(names: Iterable[str]) -> list[str]:
    """Those that a row may have: PostgreSQL knows no NUL."""
    return [name for name in names if "\0" not in name]


def one(db: Connection, query: str, *values: object) -> Any:  # noqa: ANN401 - whatever is there
    """The first column of the first row, None if there is no row."""
    row = db.execute(query, values).fetchone()
    return None if row is None else next(iter(row.values()))


def instant_of(turn: Turn) -> float | None:
    """Seconds since the epoch, None for a turn without a time."""
    return None if turn.time is None else instant(turn.time).timestamp()
