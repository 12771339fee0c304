"""Histories in SQLite: one file a history, in WAL mode.

One file a history keeps the word statistics of BM25 this history's own (the same results
whoever else is in the store, and nothing leaks between tenants), lets histories be written side
by side, and lets a deletion end in an unlink. Which tenant a row belongs to is the folder that
its file is in.

Within a history, transactions keep writers apart. A write creates, and a deletion removes, the
file under an exclusive lock that every other operation holds as a shared one, so nobody writes
into a file that has lost its name. A life of a history has an epoch; a write that was planned in
an earlier life is refused. A file that is damaged concerns its own history and no other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from budgetmem.errors import Conflict, NotFound, StoreDamaged, StoreUnavailable
from budgetmem.store import queries, rows
from budgetmem.store.base import (
    Contents,
    DeletionProof,
    HistoryInfo,
    Hits,
    OnDeleted,
    SessionChange,
    Settings,
    Size,
    Snapshot,
    check_size,
    known_turns,
    not_found,
    unheard,
)
from budgetmem.store.connection import connect, empty_log, faults, transaction, unavailable
from budgetmem.store.paging import Page, paged
from budgetmem.store.paths import Paths, wipe
from budgetmem.types import Turn


class SqliteStore:
    """A `Store` (see `budgetmem.store.base`) in the folder `root`, which is made if need be.

    `connect` opens the file of a history. Without `waits`, a history that somebody else holds is
    not waited for by what would change it: that raises Busy at once.
    """

    def __init__(
        self,
        root: Path,
        connect: Callable[[Path], sqlite3.Connection] = connect,
        *,
        waits: bool = True,
    ) -> None:
        self._paths = Paths(root, waits=waits)
        self._connect = connect
        self._waits = waits

    def tenants(self) -> list[str]:
        return [name for name in self._paths.tenants() if any(self.histories(name))]

    def histories(self, tenant: str) -> Iterator[str]:
        return (name for name in self._paths.histories(tenant) if self._is_there(tenant, name))

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
            states = {name: queries.session(db, name) for name in sessions}
            others = queries.turns_beside(db, turn_ids, sessions)
            return Snapshot(
                epoch=queries.meta(db, "epoch"),
                settings=queries.settings(db) if queries.holds_turns(db) else None,
                known=known_turns(turn_ids, states, others),
                sessions=states,
            )

    def sessions_of(self, tenant: str, history: str, turn_ids: Collection[str]) -> list[str]:
        with self._reading(tenant, history) as db:
            return [] if db is None else queries.sessions_of(db, turn_ids)

    def size_of(
        self, tenant: str, history: str, sessions: Collection[str], turn_ids: Collection[str]
    ) -> Size:
        with self._reading(tenant, history) as db:
            return Size(0, 0) if db is None else queries.size_of(db, sessions, turn_ids)

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
        on_written: Callable[[], None] = lambda: None,
    ) -> None:
        creates = epoch is None
        erases = any(change.erased for change in changes)
        # Nobody may read while what is erased is taken out of the write-ahead log.
        alone = self._paths.creating if creates else self._paths.exclusive
        lock = alone if creates or erases else self._paths.shared
        with faults(history), lock(tenant, history) as path:
            if not creates and not path.exists():
                raise Conflict(f"history {history!r} was deleted meanwhile")
            with closing(self._connect(path)) as db:
                with transaction(db, waits=self._waits):
                    if creates:
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
                on_written()
                emptied = not erases or empty_log(db)
                empty = erases and not queries.holds_turns(db)
            if empty:
                if not emptied:
                    wipe(self._paths.files(path))
                self._paths.remove(path)

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
        with faults(history), self._paths.exclusive(tenant, history) as path:
            if not path.exists():
                return 0
            with closing(self._connect(path)) as db:
                # Another program that read when they were erased may have gone meanwhile.
                log = 0 if empty_log(db) else 1
                found = queries.traces(db, turn_ids) if queries.has_schema(db, path) else 0
                return log + found

    def delete(
        self,
        tenant: str,
        history: str,
        on_deleted: OnDeleted = unheard,
    ) -> DeletionProof:
        with faults(history), self._paths.exclusive(tenant, history) as path:
            if not self._paths.files(path):
                raise not_found(history)
            try:
                with faults(history):
                    proof = self._erased(history, path)
            except NotFound:
                # What a process left that was killed in its first write, or in its deletion.
                self._discard(path)
                raise
            except (sqlite3.Error, StoreDamaged, StoreUnavailable):
                # What cannot be read, or has no room for its log, can be overwritten all the same.
                wipe(self._paths.files(path))
                proof = DeletionProof(0, 0, 0, 0, histories=1)
            on_deleted(proof)
            self._paths.remove(path)
            left = len(self._paths.files(path))
            return replace(proof, remaining=proof.remaining + left)

    def sweep(self, tenant: str) -> None:
        for history in self._paths.histories(tenant):
            if not self._is_there(tenant, history):
                self._sweep(tenant, history)
        try:
            self._paths.drop_tenant(tenant)
        except OSError as exc:
            raise unavailable(f"the folder of tenant {tenant!r}", exc) from exc

    def _sweep(self, tenant: str, history: str) -> None:
        with faults(history), self._paths.exclusive(tenant, history) as path:
            if not self._paths.files(path):
                return  # somebody else was first
            with closing(self._connect(path)) as db:
                filled = _is_filled(db, path)
            # Somebody may have filled it meanwhile: nobody would be told that it went.
            if not filled:
                self._discard(path)

    def _discard(self, path: Path) -> None:
        """Removes files of no history. The caller holds the exclusive lock."""
        wipe(self._paths.files(path))
        self._paths.remove(path)

    def _erased(self, history: str, path: Path) -> DeletionProof:
        """Removes every row, and the log of them."""
        with closing(self._connect(path)) as db:
            with transaction(db, waits=self._waits):
                if not _is_filled(db, path):
                    raise not_found(history)
                turns, units = queries.count(db, "turns"), queries.count(db, "units")
                queries.erase(db)
            emptied = empty_log(db)
            remaining = sum(queries.count(db, table) for table in rows.ROW_TABLES)
        if not emptied:
            wipe(self._paths.files(path))
        return DeletionProof(turns, units, units, remaining, histories=1)

    def _is_there(self, tenant: str, history: str) -> bool:
        """Whether it holds turns, or may: nobody knows of a file that cannot be read."""
        try:
            with self._reading(tenant, history) as db:
                return db is not None and queries.holds_turns(db)
        except (sqlite3.Error, StoreDamaged, StoreUnavailable):
            return True

    @contextmanager
    def _reading(self, tenant: str, history: str) -> Iterator[sqlite3.Connection | None]:
        """A connection in a read transaction; None if there is no such history."""
        with faults(history), self._paths.shared(tenant, history) as path:
            if not path.exists():
                yield None
                return
            with closing(self._connect(path)) as db:
                db.execute("BEGIN")
                yield db if queries.has_schema(db, path) else None

    @contextmanager
    def _existing(self, tenant: str, history: str) -> Iterator[sqlite3.Connection]:
        with self._reading(tenant, history) as db:
            if db is None or not queries.holds_turns(db):
                raise not_found(history)
            yield db


def _is_filled(db: sqlite3.Connection, path: Path) -> bool:
    return queries.has_schema(db, path) and queries.holds_turns(db)


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
