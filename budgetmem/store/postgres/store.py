"""Histories in PostgreSQL, for services of several replicas. Vectors are pgvector's.

A write locks its history's row, so writers of one history take turns, in all replicas, and what a
lost replica began is rolled back by the server. A life of a history has an epoch; a write that was
planned in an earlier life is refused. Reads see one state of the database and wait for nobody.

Searches look at all vectors of a history and at nothing else, so they are exact; words rank as they
do in SQLite (see `budgetmem.store.words`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from budgetmem.backbone import Vectors
from budgetmem.errors import Conflict, InvalidInput
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
from budgetmem.store.paging import Page, paged
from budgetmem.store.paths import encode
from budgetmem.store.postgres import changes as writing
from budgetmem.store.postgres import erasures, queries, schema
from budgetmem.store.postgres.database import Connection, Database
from budgetmem.store.postgres.queries import History
from budgetmem.types import Turn


class PostgresStore:
    """A `Store` (see `budgetmem.store.base`) in the database at `url`, until it is closed.

    Makes the tables if need be. Without `waits`, a history that somebody else holds is hardly
    waited for (10 ms) by what would change it, which raises Busy then. Raises StoreUnavailable for
    a database that cannot be reached, ConfigError for one that cannot hold a store.
    """

    def __init__(self, url: str, *, waits: bool = True) -> None:
        self._database = Database(url, waits=waits)
        _prepare(self._database)
        self._database.open()

    @staticmethod
    def prepare(url: str) -> tuple[int, int]:
        """Makes the tables, or brings them to this version: the version before, and now."""
        return _prepare(Database(url)), schema.VERSION

    def close(self) -> None:
        """Closes the connections."""
        self._database.close()

    def tenants(self) -> list[str]:
        with self._database.reading() as db:
            schema.version(db)
            found = db.execute(
                "SELECT DISTINCT tenant FROM histories WHERE EXISTS"
                " (SELECT FROM turns WHERE history = histories.id) ORDER BY tenant"
            )
            return [row["tenant"] for row in found]

    def histories(self, tenant: str) -> Iterator[str]:
        _check_name("tenant", tenant)
        with self._database.reading() as db:
            schema.version(db)
            found = db.execute(
                "SELECT name FROM histories WHERE tenant = %s AND EXISTS"
                " (SELECT FROM turns WHERE history = histories.id) ORDER BY name",
                (tenant,),
            )
            return iter([row["name"] for row in found])

    def info(self, tenant: str, history: str) -> HistoryInfo:
        with self._existing(tenant, history) as (db, of, settings):
            first, last = queries.time_span(db, of)
            return HistoryInfo(
                history=history,
                settings=settings,
                sessions=queries.count(db, "sessions", of),
                turns=queries.count(db, "turns", of),
                units=queries.count(db, "units", of),
                first=first,
                last=last,
            )

    def snapshot(
        self, tenant: str, history: str, sessions: Collection[str], turn_ids: Collection[str]
    ) -> Snapshot:
        with self._reading(tenant, history) as (db, of):
            if of is None:
                return Snapshot()
            states = {name: queries.session(db, of, name) for name in sessions}
            others = queries.turns_beside(db, of, turn_ids, sessions)
            return Snapshot(
                epoch=of.epoch,
                settings=of.settings if queries.holds_turns(db, of) else None,
                known=known_turns(turn_ids, states, others),
                sessions=states,
            )

    def sessions_of(self, tenant: str, history: str, turn_ids: Collection[str]) -> list[str]:
        with self._reading(tenant, history) as (db, of):
            return [] if of is None else queries.sessions_of(db, of, turn_ids)

    def size_of(
        self, tenant: str, history: str, sessions: Collection[str], turn_ids: Collection[str]
    ) -> Size:
        with self._reading(tenant, history) as (db, of):
            return Size(0, 0) if of is None else queries.size_of(db, of, sessions, turn_ids)

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
        _check_names(tenant, history)
        with self._database.writing() as db:
            of = queries.history(db, tenant, history, lock=True)
            if epoch is None:
                of = writing.create(db, tenant, history)
            elif of is None or of.epoch != epoch:
                raise Conflict(f"history {history!r} was deleted or rebuilt meanwhile")
            if rebuild:
                if set(queries.session_names(db, of)) != {change.session for change in changes}:
                    raise Conflict(f"history {history!r}: a session was added meanwhile")
                writing.forget_units(db, of)
            if rebuild or not queries.holds_turns(db, of):
                writing.put_settings(db, of, settings)
            writing.apply_all(db, of, changes)
            if most is not None:
                # In the transaction: of writers side by side, none may pass the limit.
                check_size(history, queries.size(db, of), most)
            erases = any(change.erased for change in changes)
            if erases:
                erasures.tell(db, tenant)
            if erases and not queries.holds_turns(db, of):
                writing.erase(db, of, schema.TABLES)
        on_written()

    def search(
        self,
        tenant: str,
        history: str,
        vector: Vectors | None,
        words: Sequence[str],
        limit: int,
    ) -> Hits:
        with self._existing(tenant, history) as (db, of, settings):
            dense = () if vector is None else queries.by_vector(db, of, vector, limit)
            keyword = queries.by_words(db, of, words, limit) if words else ()
            ids = {name for name, _ in (*dense, *keyword)}
            return Hits(
                settings=settings,
                dense=dense,
                keyword=keyword,
                units=queries.units(db, of, ids),
                sessions=queries.session_names(db, of),
            )

    def vectors(self, tenant: str, history: str, ids: Collection[str]) -> dict[str, Vectors]:
        with self._existing(tenant, history) as (db, of, _):
            return queries.vectors(db, of, ids)

    def turns(self, tenant: str, history: str) -> Iterator[Turn]:
        return paged(history, partial(self._page, tenant, history))

    def _page(self, tenant: str, history: str, after: int) -> Page:
        with self._existing(tenant, history) as (db, of, _):
            return queries.page(db, of, after)

    def contents(self, tenant: str, history: str) -> Contents:
        with self._existing(tenant, history) as (db, of, settings):
            return Contents(
                settings=settings,
                sessions=queries.session_names(db, of),
                turns=tuple(queries.all_turns(db, of)),
                units=queries.all_units(db, of),
            )

    def traces(self, tenant: str, history: str, turn_ids: Collection[str]) -> int:
        with self._reading(tenant, history) as (db, of):
            return 0 if of is None else queries.traces(db, of, turn_ids)

    def delete(
        self,
        tenant: str,
        history: str,
        on_deleted: OnDeleted = unheard,
    ) -> DeletionProof:
        _check_names(tenant, history)
        with self._database.writing() as db:
            of = queries.history(db, tenant, history, lock=True)
            if of is None or not queries.holds_turns(db, of):
                raise not_found(history)
            erasures.tell(db, tenant)
            removed = writing.erase(db, of, ("vectors", "words", "units", "turns", "sessions"))
        proof = DeletionProof(
            removed["turns"], removed["units"], removed["vectors"], 0, histories=1
        )
        on_deleted(proof)
        # After the commit, on another connection: what everybody sees from now on.
        with self._database.reading() as db:
            return replace(proof, remaining=queries.remaining(db, of, schema.TABLES))

    def sweep(self, tenant: str) -> None:
        """Nothing: a transaction that is cut off leaves none of its rows."""
        _check_name("tenant", tenant)

    def keep_record(self, line: str) -> None:
        """Keeps a line about a deletion, for all servers. Raises StoreUnavailable."""
        with self._database.writing() as db:
            db.execute("INSERT INTO erasures (line) VALUES (%s)", (line,))

    @contextmanager
    def _reading(self, tenant: str, history: str) -> Iterator[tuple[Connection, History | None]]:
        """A read transaction, and the history; None if there is no such."""
        _check_names(tenant, history)
        with self._database.reading() as db:
            yield db, queries.history(db, tenant, history)

    @contextmanager
    def _existing(
        self, tenant: str, history: str
    ) -> Iterator[tuple[Connection, History, Settings]]:
        with self._reading(tenant, history) as (db, of):
            if of is None or of.settings is None or not queries.holds_turns(db, of):
                raise not_found(history)
            yield db, of, of.settings


def _prepare(database: Database) -> int:
    with database.alone() as db:
        return schema.migrate(db)


def _check_names(tenant: str, history: str) -> None:
    _check_name("tenant", tenant)
    _check_name("history", history)


def _check_name(field: str, name: str) -> None:
    """Names that either store can keep, so that histories can move between them."""
    encode(name, field)
    if "\0" in name:
        raise InvalidInput(field, "contains a NUL character")
