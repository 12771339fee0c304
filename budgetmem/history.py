"""Histories: ingest turns, retrieve for a query, list, export, rebuild, delete.

This is the asyncio face of the store: it checks the input, makes the units, embeds those that
are new, and tries again when a concurrent writer was first.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

from budgetmem import validation
from budgetmem.aside import ATTEMPTS, Aside, retried
from budgetmem.backbone import Caller, Encoder, Vectors
from budgetmem.chunking import BoundedTokens, by_session
from budgetmem.config import RetrievalProfile
from budgetmem.errors import ConfigError, Conflict, DeadlineExceeded, DuplicateTurn, NotFound
from budgetmem.pieces import in_pieces
from budgetmem.planning import Plan, Planner, Progress
from budgetmem.ranking import query_words
from budgetmem.retrieval import RANKINGS
from budgetmem.search import Search, Sought
from budgetmem.stages import INGEST, RETRIEVE
from budgetmem.store.base import (
    DeletionProof,
    HistoryInfo,
    OnDeleted,
    SessionState,
    Settings,
    Size,
    Snapshot,
    Store,
    not_found,
    unheard,
)
from budgetmem.store.paging import page_of
from budgetmem.timeouts import within
from budgetmem.types import Chunk, Turn

Places = Callable[[str, Size], AbstractContextManager[None]]
"""Gives a tenant a place for so much, or raises Overloaded."""

_REINDEX = (
    "make it anew by `budgetmem store reindex` beside the store, or delete it and ingest it again"
)


@dataclass(frozen=True)
class IngestReport:
    """What one ingest did. `tokens` were read by the encoder, lost races included.

    `chunks` counts the units of retrieval that were made anew, those of changed neighbours too.
    """

    added: int
    unchanged: int
    chunks: int
    tokens: int


@dataclass(frozen=True)
class Retrieval:
    """Chunks in time order, and the tokens that the encoder read for the query.

    `query` is the query's vector, None if it was not embedded. `vectors` are those of the chunks,
    by id: the normalised means of the vectors of the units that lie in them. Neither is compared.
    """

    chunks: tuple[Chunk, ...]
    tokens: int
    query: Vectors | None = field(default=None, compare=False)
    vectors: Mapping[str, Vectors] = field(default_factory=dict, compare=False)


class Histories:
    """The histories of a store, with the encoder and the retrieval settings of one profile.

    `encoder_of(caller)` is the same encoder, working on a caller's account (the stages are INGEST
    and RETRIEVE of `budgetmem.stages`); without it, `encoder` works for everybody.
    No ingest makes a history larger than `most`. `places` are for the sessions and turns that are
    read by what would change the history, for as long as that takes. Calls of the store block
    `threads`, by default those of asyncio. Any number of these may work on one store, in any number
    of processes.
    """

    def __init__(
        self,
        store: Store,
        encoder: Encoder,
        retrieval: RetrievalProfile,
        encoder_of: Callable[[Caller], Encoder] | None = None,
        most: Size | None = None,
        *,
        threads: Executor | None = None,
        clock: Callable[[], float] = time.monotonic,
        places: Places = lambda tenant, size: nullcontext(),
    ) -> None:
        self._store = store
        self._encoder = encoder
        self._encoder_of = encoder_of or (lambda caller: encoder)
        self._profile = retrieval
        self._most = most
        self._aside = Aside(threads, clock)
        self._clock = clock
        self._places = places
        self._tokens = BoundedTokens(encoder.tokens)
        self._search = Search(store, self._tokens, retrieval.rrf_constant)

    async def ingest(
        self, tenant: str, history: str, turns: Sequence[Turn], progress: Progress | None = None
    ) -> IngestReport:
        """Adds turns; when it returns they are durable and found by retrieval.

        A turn that is there already with the same content is left alone. Raises InvalidInput
        naming the field, DuplicateTurn naming an id that is taken by other content, HistoryFull
        if the history would become too large, ConfigError if it was made with other settings; in
        every case nothing was written.
        """
        distinct = await self._aside(_checked, turns)
        names, ids = list(by_session(distinct)), [turn.id for turn in distinct]
        planner = self._planner(tenant, progress)

        async def attempt() -> IngestReport:
            async with self._place(tenant, history, names, ids):
                return await write()

        async def write() -> IngestReport:
            snapshot = await self._aside(self._store.snapshot, tenant, history, names, ids)
            self._check_settings(history, snapshot.settings, for_writing=True)
            new = _not_known(distinct, snapshot, turns)
            if not new:
                return IngestReport(0, len(turns), 0, 0)
            plans = [
                Plan(name, state, tuple(members), state.unit_ids)
                for name, members in by_session(new).items()
                for state in [snapshot.sessions.get(name, SessionState())]
            ]
            changes = await planner.changes(plans)
            await self._aside.in_turn(
                self._store.write,
                tenant,
                history,
                snapshot.epoch,
                self._settings,
                changes,
                most=self._most,
            )
            chunks = sum(len(change.added) for change in changes)
            return IngestReport(len(new), len(turns) - len(new), chunks, planner.tokens_read)

        return await retried(attempt)

    async def reindex(
        self, tenant: str, history: str, progress: Progress | None = None
    ) -> IngestReport:
        """Makes all units of a history anew, with this encoder and these chunking settings."""
        planner = self._planner(tenant, progress)

        async def attempt() -> IngestReport:
            turns = await self._aside(lambda: list(self._store.turns(tenant, history)))
            snapshot = await self._aside(
                self._store.snapshot, tenant, history, list(by_session(turns)), []
            )
            plans = [
                Plan(name, state, (), frozenset()) for name, state in snapshot.sessions.items()
            ]
            changes = await planner.changes(plans)
            await self._aside.in_turn(
                self._store.write,
                tenant,
                history,
                snapshot.epoch,
                self._settings,
                changes,
                rebuild=True,
            )
            chunks = sum(len(change.added) for change in changes)
            return IngestReport(0, len(turns), chunks, planner.tokens_read)

        return await retried(attempt)

    async def is_current(self, tenant: str, history: str) -> bool:
        """Whether a history was made with this encoder and these chunking settings. Raises
        NotFound."""
        return await self._settings_of(tenant, history) == self._settings

    async def retrieve(
        self,
        tenant: str,
        history: str,
        query: str,
        max_tokens: int | None = None,
        *,
        embed: bool = True,
        born: float | None = None,
        deadline: float = math.inf,
    ) -> Retrieval:
        """The chunks that fit `max_tokens` (of the encoder; None: the profile's), in time order.

        Without `embed` the encoder reads nothing, and the ranking is by keywords alone. With it,
        the query has to be embedded by `deadline`; `born` is when the request began, both in
        seconds of the clock.
        Raises InvalidInput for an unusable query or budget, NotFound for an unknown or empty
        history, ConfigError if the history was made with another encoder, DeadlineExceeded if
        there is no time to embed the query, asyncio.TimeoutError if that was begun, and cut off.
        """
        validation.check_query(query)
        budget = self._profile.max_tokens if max_tokens is None else max_tokens
        validation.check_positive("max_tokens", budget)
        # Before the query is embedded: in another encoder's history that would be for nothing.
        settings = await self._settings_of(tenant, history)
        self._check_settings(history, settings, for_writing=False)
        ranking = self._profile.ranking if embed else "keyword"
        parts = RANKINGS[ranking]
        caller = Caller(tenant, RETRIEVE, born, deadline)
        vector = await self._embedded(query, caller) if parts.vectors else None
        words = query_words(query) if parts.words else ()
        found = await self._aside(
            self._search.find, tenant, history, Sought(query, ranking, vector, words), budget
        )
        self._check_settings(history, found.settings, for_writing=False)
        tokens = self._encoder.tokens.count(query) if parts.vectors else 0
        return Retrieval(found.chunks, tokens, vector, found.vectors)

    async def list(self, tenant: str) -> Sequence[str]:
        """Names of the tenant's histories, sorted."""
        names = await self._aside(self._store.histories, tenant)
        return await in_pieces(names, self._aside)

    async def info(self, tenant: str, history: str) -> HistoryInfo:
        """Counts of one history. Raises NotFound."""
        return await self._aside(self._store.info, tenant, history)

    async def export(self, tenant: str, history: str) -> AsyncIterator[Turn]:
        """All turns as they were ingested, in order of arrival, read in pages as they are asked
        for. Raises NotFound, and Conflict if the history is deleted and made again meanwhile."""
        turns = await self._aside(self._store.turns, tenant, history)
        while some := await self._aside(page_of, turns):
            for turn in some:
                yield turn

    async def delete_turns(
        self,
        tenant: str,
        history: str,
        turn_ids: Collection[str],
        on_deleted: OnDeleted = unheard,
    ) -> DeletionProof:
        """Removes these turns, and makes anew what was made from them and their neighbours.

        Those that are not there are no fault: the proof counts what was removed. `on_deleted` is
        told of that as `delete` tells it. Raises InvalidInput for one text instead of ids, NotFound
        for an unknown history, ConfigError if it was made with other settings, Conflict if
        concurrent writers keep winning.
        """
        validation.check_ids("turn_ids", turn_ids)
        wanted = frozenset(turn_ids)
        planner = self._planner(tenant, None)

        removed = await retried(partial(self._erased, tenant, history, wanted, planner, on_deleted))
        # By itself: an erasure that is made again after it was done finds nothing, and says so.
        scan = partial(self._aside.in_turn, self._store.traces, tenant, history, wanted)
        return replace(removed, remaining=await retried(scan))

    async def _erased(
        self,
        tenant: str,
        history: str,
        wanted: frozenset[str],
        planner: Planner,
        on_deleted: OnDeleted,
    ) -> DeletionProof:
        """One attempt at a deletion of turns; nothing was looked for afterwards."""
        names = await self._aside(self._store.sessions_of, tenant, history, wanted)
        async with self._place(tenant, history, names, ()):
            snapshot = await self._aside(self._store.snapshot, tenant, history, names, ())
            if snapshot.settings is None:
                raise not_found(history)
            self._check_settings(history, snapshot.settings, for_writing=True)
            changes = await planner.changes(
                [
                    Plan(name, state, (), state.unit_ids, gone)
                    for name, state in snapshot.sessions.items()
                    if (gone := wanted.intersection(turn.id for turn in state.turns))
                ]
            )
            turns = sum(len(change.erased) for change in changes)
            units = sum(len(change.removed) for change in changes)
            removed = DeletionProof(turns, units, units, 0)
            if changes:
                await self._aside.in_turn(
                    self._store.write,
                    tenant,
                    history,
                    snapshot.epoch,
                    self._settings,
                    changes,
                    on_written=partial(on_deleted, removed),
                )
            return removed

    async def delete_tenant(self, tenant: str, on_deleted: OnDeleted = unheard) -> DeletionProof:
        """Removes all histories of a tenant, also those that are made meanwhile.

        `on_deleted` is told of each as by `delete`: what was removed before something is raised.
        Raises Conflict if there are new ones again and again.
        """
        proof = DeletionProof(0, 0, 0, 0)
        for _ in range(ATTEMPTS):
            names = await self.list(tenant)
            if not names:
                await self._aside.in_turn(self._store.sweep, tenant)
                return proof
            for name in names:
                with suppress(NotFound):  # somebody else deleted it
                    proof += await self.delete(tenant, name, on_deleted)
        raise Conflict(
            f"{proof.histories} histories were deleted, and the tenant went on making others: end "
            "what ingests, and send the same again"
        )

    async def delete(
        self,
        tenant: str,
        history: str,
        on_deleted: OnDeleted = unheard,
    ) -> DeletionProof:
        """Removes the history and everything made from it.

        `on_deleted` is told of that as soon as it is removed, in the store's thread: what comes
        after, its scan, may be what is raised about. Raises NotFound, and Conflict if somebody else
        holds it for long.
        """
        return await self._aside.in_turn(self._store.delete, tenant, history, on_deleted)

    @asynccontextmanager
    async def _place(
        self, tenant: str, history: str, sessions: Sequence[str], turn_ids: Sequence[str]
    ) -> AsyncIterator[None]:
        """A place for what these sessions and turns take as they are read."""
        size = await self._aside(self._store.size_of, tenant, history, sessions, turn_ids)
        with self._places(tenant, size):
            yield

    async def _embedded(self, query: str, caller: Caller) -> Vectors:
        left_s = caller.deadline - self._clock()
        if left_s <= 0:
            raise DeadlineExceeded("no time is left to embed the query")
        embedding = self._encoder_of(caller).embed([query])
        rows = await within(None if math.isinf(left_s) else left_s, embedding)
        return cast(Vectors, rows[0])

    @property
    def _settings(self) -> Settings:
        chunks = self._profile.chunking.model_dump_json()
        return Settings(self._encoder.name, self._encoder.dimension, chunks)

    async def _settings_of(self, tenant: str, history: str) -> Settings:
        """Raises NotFound."""
        snapshot = await self._aside(self._store.snapshot, tenant, history, (), ())
        if snapshot.settings is None:
            raise not_found(history)
        return snapshot.settings

    def _check_settings(self, history: str, found: Settings | None, for_writing: bool) -> None:
        mine = self._settings
        if found is None or found == mine:
            return
        if (found.encoder, found.dimension) != (mine.encoder, mine.dimension):
            raise ConfigError(
                f"history {history!r} was made with the encoder {found.encoder!r} "
                f"({found.dimension}-d), not {mine.encoder!r} ({mine.dimension}-d): {_REINDEX}"
            )
        # Units of another form can be read as they are, but must not be mixed.
        if for_writing:
            raise ConfigError(
                f"history {history!r} was made with chunking {found.chunking}, "
                f"not {mine.chunking}: {_REINDEX}"
            )

    def _planner(self, tenant: str, progress: Progress | None) -> Planner:
        return Planner(
            self._encoder_of(Caller(tenant, INGEST)), self._profile.chunking, self._tokens, progress
        )


def _checked(turns: Sequence[Turn]) -> list[Turn]:
    """Each turn once. Raises InvalidInput for the first that cannot be kept."""
    validation.check_turns(turns)
    return validation.without_repeats(turns)


def _not_known(distinct: Sequence[Turn], snapshot: Snapshot, turns: Sequence[Turn]) -> list[Turn]:
    """The turns that the history lacks. Raises DuplicateTurn for an id with other content."""
    new = []
    for turn in distinct:
        known = snapshot.known.get(turn.id)
        if known is None:
            new.append(turn)
        elif known != turn:
            raise DuplicateTurn(
                f"turns[{turns.index(turn)}].id",
                f"{turn.id!r} is taken by a turn with different content",
            )
    return new
