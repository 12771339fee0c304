"""Histories: ingest turns, retrieve for a query, list, export, rebuild, delete.

This is the asyncio face of the store: it checks the input, makes the units, embeds those that
are new, and tries again when a concurrent writer was first.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from budgetmem import chunking, validation
from budgetmem.backbone import Encoder, Vectors
from budgetmem.chunking import Unit, by_session
from budgetmem.config import RetrievalProfile
from budgetmem.errors import ConfigError, Conflict, DuplicateTurn
from budgetmem.retrieval import RANKINGS, candidates, fill, query_words, rank
from budgetmem.store.base import (
    DeletionProof,
    HistoryInfo,
    SessionChange,
    SessionState,
    Settings,
    Snapshot,
    Store,
)
from budgetmem.types import Chunk, Turn

Progress = Callable[[int, int], None]
"""Called with the number of units embedded so far, and how many there are to embed."""

_ATTEMPTS = 20
_EMBED_AT_ONCE = 64


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
    """Chunks in time order, and the tokens that the encoder read for the query."""

    chunks: tuple[Chunk, ...]
    tokens: int


@dataclass
class _Embedder:
    """Embeds units once each, however often a write has to be planned again."""

    encoder: Encoder
    progress: Progress | None
    vectors: dict[str, Vectors]
    tokens: int = 0

    async def embed(self, units: Sequence[Unit]) -> None:
        missing = [unit for unit in units if unit.id not in self.vectors]
        for start in range(0, len(missing), _EMBED_AT_ONCE):
            batch = missing[start : start + _EMBED_AT_ONCE]
            found = await self.encoder.embed([unit.text for unit in batch])
            self.tokens += sum(unit.tokens for unit in batch)
            self.vectors.update(zip((unit.id for unit in batch), found, strict=True))
            if self.progress is not None:
                self.progress(start + len(batch), len(missing))


class Histories:
    """The histories of a store, with the encoder and the retrieval settings of one profile.

    Any number of these may work on one store, in any number of processes.
    """

    def __init__(self, store: Store, encoder: Encoder, retrieval: RetrievalProfile) -> None:
        self._store = store
        self._encoder = encoder
        self._profile = retrieval

    async def ingest(
        self, tenant: str, history: str, turns: Sequence[Turn], progress: Progress | None = None
    ) -> IngestReport:
        """Adds turns; when it returns they are durable and found by retrieval.

        A turn that is there already with the same content is left alone. Raises InvalidInput
        naming the field, DuplicateTurn naming an id that is taken by other content, ConfigError
        if the history was made with other settings; in every case nothing was written.
        """
        validation.check_turns(turns)
        distinct = validation.without_repeats(turns)
        embedder = _Embedder(self._encoder, progress, {})

        async def attempt() -> IngestReport:
            snapshot = await asyncio.to_thread(
                self._store.snapshot,
                tenant,
                history,
                list(by_session(distinct)),
                [turn.id for turn in distinct],
            )
            self._check_settings(history, snapshot.settings, for_writing=True)
            new = _not_known(distinct, snapshot, turns)
            if not new:
                return IngestReport(0, len(turns), 0, 0)
            changes = await self._changes(new, snapshot.sessions, embedder)
            await asyncio.to_thread(
                self._store.write, tenant, history, snapshot.epoch, self._settings, changes
            )
            chunks = sum(len(change.added) for change in changes)
            return IngestReport(len(new), len(turns) - len(new), chunks, embedder.tokens)

        return await _retried(attempt)

    async def reindex(
        self, tenant: str, history: str, progress: Progress | None = None
    ) -> IngestReport:
        """Makes all units of a history anew, with this encoder and these chunking settings."""
        embedder = _Embedder(self._encoder, progress, {})

        async def attempt() -> IngestReport:
            turns = await asyncio.to_thread(self._store.turns, tenant, history)
            grouped = by_session(turns)
            snapshot = await asyncio.to_thread(
                self._store.snapshot, tenant, history, list(grouped), [turn.id for turn in turns]
            )
            if len(snapshot.known) != len(turns) or any(
                len(snapshot.sessions[name].turns) != len(group) for name, group in grouped.items()
            ):
                raise Conflict(f"history {history!r} was written to meanwhile")
            changes = [
                await self._change(name, state, (), frozenset(), embedder)
                for name, state in snapshot.sessions.items()
            ]
            await asyncio.to_thread(
                self._store.write,
                tenant,
                history,
                snapshot.epoch,
                self._settings,
                changes,
                rebuild=True,
            )
            chunks = sum(len(change.added) for change in changes)
            return IngestReport(0, len(turns), chunks, embedder.tokens)

        return await _retried(attempt)

    async def retrieve(
        self, tenant: str, history: str, query: str, max_tokens: int | None = None
    ) -> Retrieval:
        """The chunks that fit `max_tokens` (of the encoder; None: the profile's), in time order.

        Raises InvalidInput for an unusable query or budget, NotFound for an unknown or empty
        history, ConfigError if the history was made with another encoder.
        """
        validation.check_query(query)
        budget = self._profile.max_tokens if max_tokens is None else max_tokens
        validation.check_positive("max_tokens", budget)
        info = await self.info(tenant, history)
        self._check_settings(history, info.settings, for_writing=False)
        ranking = RANKINGS[self._profile.ranking]
        vector = (await self._encoder.embed([query]))[0] if ranking.vectors else None
        words = query_words(query) if ranking.words else ()
        hits = await asyncio.to_thread(
            self._store.search, tenant, history, vector, words, candidates(budget)
        )
        self._check_settings(history, hits.settings, for_writing=False)
        ranked = rank(hits.dense, hits.keyword, self._profile.ranking, self._profile.rrf_constant)
        chunks = fill(
            ((hits.units[name], score) for name, score in ranked),
            hits.sessions,
            budget,
            self._encoder.tokens,
        )
        return Retrieval(chunks, self._encoder.tokens.count(query) if ranking.vectors else 0)

    async def list(self, tenant: str) -> Sequence[str]:
        """Names of the tenant's histories, sorted."""
        return await asyncio.to_thread(self._store.histories, tenant)

    async def info(self, tenant: str, history: str) -> HistoryInfo:
        """Counts of one history. Raises NotFound."""
        return await asyncio.to_thread(self._store.info, tenant, history)

    async def export(self, tenant: str, history: str) -> Iterator[Turn]:
        """All turns as they were ingested, in order of arrival. Raises NotFound."""
        return iter(await asyncio.to_thread(self._store.turns, tenant, history))

    async def delete(self, tenant: str, history: str) -> DeletionProof:
        """Removes the history and everything made from it. Raises NotFound."""
        return await asyncio.to_thread(self._store.delete, tenant, history)

    @property
    def _settings(self) -> Settings:
        chunks = self._profile.chunking.model_dump_json()
        return Settings(self._encoder.name, self._encoder.dimension, chunks)

    def _check_settings(self, history: str, found: Settings | None, for_writing: bool) -> None:
        mine = self._settings
        if found is None or found == mine:
            return
        if (found.encoder, found.dimension) != (mine.encoder, mine.dimension):
            raise ConfigError(
                f"history {history!r} was made with the encoder {found.encoder!r} "
                f"({found.dimension}-d), not {mine.encoder!r} ({mine.dimension}-d): "
                "reindex it, or ingest it again"
            )
        # Units of another form can be read as they are, but must not be mixed.
        if for_writing:
            raise ConfigError(
                f"history {history!r} was made with chunking {found.chunking}, "
                f"not {mine.chunking}: reindex it, or ingest it again"
            )

    async def _changes(
        self, new: Sequence[Turn], sessions: Mapping[str, SessionState], embedder: _Embedder
    ) -> Sequence[SessionChange]:
        changes = []
        for name, turns in by_session(new).items():
            state = sessions.get(name, SessionState())
            changes.append(await self._change(name, state, tuple(turns), state.unit_ids, embedder))
        return changes

    async def _change(
        self,
        session: str,
        state: SessionState,
        new: tuple[Turn, ...],
        present: frozenset[str],
        embedder: _Embedder,
    ) -> SessionChange:
        """New turns come after those that are there; units that differ are replaced."""
        units = await asyncio.to_thread(
            chunking.units,
            session,
            [*state.turns, *new],
            self._profile.chunking,
            self._encoder.tokens,
        )
        added = [unit for unit in units if unit.id not in present]
        await embedder.embed(added)
        return SessionChange(
            session=session,
            version=state.version,
            turns=new,
            added=tuple((unit, embedder.vectors[unit.id]) for unit in added),
            removed=present - {unit.id for unit in units},
        )


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


async def _retried(attempt: Callable[[], Awaitable[IngestReport]]) -> IngestReport:
    """Plans and writes again while another writer is first, up to a limit."""
    for number in range(1, _ATTEMPTS):
        try:
            return await attempt()
        except Conflict:
            # Writers that met once would meet again if they waited equally long.
            await asyncio.sleep(random.uniform(0, 0.01 * min(number, 10)))
    return await attempt()
