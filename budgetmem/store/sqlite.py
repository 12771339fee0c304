"""Histories in SQLite: one file a history, in WAL mode.

One file a history keeps the word statistics of BM25 this history's own (the same results
whoever else is in the store, and nothing leaks between tenants), lets histories be written side
by side, and lets a deletion end in an unlink. Which tenant a row belongs to is the folder that
its file is in.

Within a history, transactions keep writers apart. A write creates, and a deletion removes, the
file under an exclusive lock that every other operation holds as a shared one, so nobody writes
into a file that has lost its name. A life of a history has an epoch; a write that was planned in
an earlier life is refused.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from budgetmem.errors import ConfigError, Conflict
from budgetmem.store import queries, rows
from budgetmem.store.base import (
    Contents,
    DeletionProof,
    HistoryInfo,
    Hits,
    SessionChange,
    Settings,
    Size,
    Snapshot,
    check_size,
    not_found,
)
from budgetmem.store.paging import Page, paged
from budgetmem.store.paths import Paths, sync_folder
from budgetmem.types import Turn

_WAIT_SECONDS = 30.0


class SqliteStore:
    """A `Store` (see `budgetmem.store.base`) in the folder `root`, which is made if need be."""

    def __init__(self, root: Path) -> None:
        self._paths = Paths(root)

    def tenants(self) -> list[str]:
        return [name for name in self._paths.tenants() if any(self.histories(name))]

    def histories(self, tenant: str) -> Iterator[str]:
        for name in self._paths.histories(tenant):
            with self._reading(tenant, name) as db:
                there = db is not None and queries.holds_turns(db)
            if there:
                yield name

    def info(self, tenant: str, history: str) -> HistoryInfo:
        with self._existing(tenant, history) as db:
            first, last = queries.time_span(db)
            return HistoryInfo(
                history=history,
                settings=queries.settings(db),
                sessions=queries.count(db, "sessions"),
                turns=queries.count(db, "turns"),
                units=queries.count(db, "units"),
                first=first,
                last=last,
            )

    def snapshot(
        self, tenant: str, history: str, sessions: Collection[str], turn_ids: Collection[str]
    ) -> Snapshot:
        with self._reading(tenant, history) as db:
            if db is None:
                return Snapshot()
            known = db.execute(
                f"SELECT {rows.TURN_COLUMNS} FROM turns"
                " WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(turn_ids)),),
            )
            return Snapshot(
                epoch=queries.meta(db, "epoch"),
                settings=queries.settings(db) if queries.holds_turns(db) else None,
                known={row["id"]: rows.turn_from(row) for row in known},
                sessions={name: queries.session(db, name) for name in sessions},
            )

    def write(
        self,
        tenant: str,
        history: str,
        epoch: str | None,
        settings: Settings,
        changes: Sequence[SessionChange],
        *,
        rebuild: bool = False,
        most: Size | None = None,
    ) -> None:
        erases = any(change.erased for change in changes)
        # Nobody may read while what is erased is taken out of the write-ahead log.
        lock = self._paths.exclusive if epoch is None or erases else self._paths.shared
        with lock(tenant, history) as path:
            if epoch is None:
                path.parent.mkdir(parents=True, exist_ok=True)
            elif not path.exists():
                raise Conflict(f"history {history!r} was deleted meanwhile")
            with closing(_connect(path)) as db:
                with _transaction(db):
                    if epoch is None:
                        queries.create(db, history)
                    elif queries.meta(db, "epoch") != epoch:
                        raise Conflict(f"history {history!r} was deleted or rebuilt meanwhile")
                    if rebuild:
                        _forget_all(db, history, changes)
                    if rebuild or not queries.holds_turns(db):
                        queries.put_settings(db, settings)
                    _apply_all(db, history, changes)
                    if most is not None:
                        # In the transaction: of writers side by side, none may pass the limit.
                        check_size(history, queries.size(db), most)
                    if erases:
                        queries.forget_words(db)
                if erases:
                    _empty_log(db)
                empty = erases and not queries.holds_turns(db)
            if empty:
                self._unlink(path)
            if epoch is None:
                sync_folder(path.parent)

    def search(
        self,
        tenant: str,
        history: str,
        vector: NDArray[np.float32] | None,
        words: Sequence[str],
        limit: int,
    ) -> Hits:
        with self._existing(tenant, history) as db:
            dense = () if vector is None else queries.by_vector(db, vector, limit)
            keyword = queries.by_words(db, words, limit) if words else ()
            ids = {name for name, _ in (*dense, *keyword)}
            return Hits(
                settings=queries.settings(db),
                dense=dense,
                keyword=keyword,
                units=queries.units(db, ids),
                sessions=queries.session_names(db),
            )

    def vectors(
        self, tenant: str, history: str, ids: Collection[str]
    ) -> dict[str, NDArray[np.float32]]:
        with self._existing(tenant, history) as db:
            return queries.vectors(db, ids)

    def turns(self, tenant: str, history: str) -> Iterator[Turn]:
        return paged(history, partial(self._page, tenant, history))

    def _page(self, tenant: str, history: str, after: int) -> Page:
        with self._existing(tenant, history) as db:
            return queries.page(db, after)

    def contents(self, tenant: str, history: str) -> Contents:
        with self._existing(tenant, history) as db:
            turns = db.execute(f"SELECT {rows.TURN_COLUMNS} FROM turns ORDER BY seq")
            units = db.execute(f"SELECT {rows.UNIT_COLUMNS}, vector FROM units ORDER BY seq")
            return Contents(
                settings=queries.settings(db),
                sessions=queries.session_names(db),
                turns=tuple(rows.turn_from(row) for row in turns),
                units=tuple((rows.unit_from(row), rows.vector(row["vector"])) for row in units),
            )

    def traces(self, tenant: str, history: str, turn_ids: Collection[str]) -> int:
        with self._reading(tenant, history) as db:
            return 0 if db is None else queries.traces(db, turn_ids)

    def delete(self, tenant: str, history: str) -> DeletionProof:
        with self._paths.exclusive(tenant, history) as path:
            if not path.exists():
                raise not_found(history)
            with closing(_connect(path)) as db:
                with _transaction(db):
                    if not queries.has_schema(db, path) or not queries.holds_turns(db):
                        raise not_found(history)
                    turns, units = queries.count(db, "turns"), queries.count(db, "units")
                    queries.erase(db)
                _empty_log(db)
                remaining = sum(queries.count(db, table) for table in rows.ROW_TABLES)
            self._unlink(path)
            remaining += len(self._paths.files(path))
            return DeletionProof(turns, units, units, remaining, histories=1)

    def _unlink(self, path: Path) -> None:
        """Removes the files of a history. The caller holds the exclusive lock."""
        for file in self._paths.files(path):
            file.unlink()
        sync_folder(path.parent)

    @contextmanager
    def _reading(self, tenant: str, history: str) -> Iterator[sqlite3.Connection | None]:
        """A connection in a read transaction; None if there is no such history."""
        with self._paths.shared(tenant, history) as path:
            if not path.exists():
                yield None
                return
            with closing(_connect(path)) as db:
                db.execute("BEGIN")
                yield db if queries.has_schema(db, path) else None

    @contextmanager
    def _existing(self, tenant: str, history: str) -> Iterator[sqlite3.Connection]:
        with self._reading(tenant, history) as db:
            if db is None or not queries.holds_turns(db):
                raise not_found(history)
            yield db


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
    db.row_factory = sqlite3.Row
    try:
        db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError:
        db.close()
        raise
    except sqlite3.DatabaseError as exc:
        db.close()
        raise ConfigError(f"{path}: not a history of BudgetMem: {exc}") from exc
    # A turn that was acknowledged survives a power cut; NORMAL would lose the last commits.
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA secure_delete = ON")
    return db


def _forget_all(db: sqlite3.Connection, history: str, changes: Sequence[SessionChange]) -> None:
    if set(queries.session_names(db)) != {change.session for change in changes}:
        raise Conflict(f"history {history!r}: a session was added meanwhile")
    queries.forget_units(db)


def _apply_all(db: sqlite3.Connection, history: str, changes: Sequence[SessionChange]) -> None:
    try:
        for change in changes:
            queries.apply(db, change)
    except sqlite3.IntegrityError as exc:
        raise Conflict(f"history {history!r}: a turn was added meanwhile") from exc


def _empty_log(db: sqlite3.Connection) -> None:
    """Moves the write-ahead log into the file: what was deleted would stay readable there."""
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as exc:
        raise Conflict(f"the history is busy: {exc}") from exc
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
