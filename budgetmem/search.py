"""A search in one history: from ranked units to chunks and their vectors. The calls block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from budgetmem.backbone import TokenCounter, Vectors
from budgetmem.chunking import Unit
from budgetmem.retrieval import candidates, fill, order
from budgetmem.store.base import Settings, Store
from budgetmem.types import Chunk
from budgetmem.vectors import mean_direction


@dataclass(frozen=True)
class Sought:
    """A query, made ready: the ranking to use, and what it ranks by."""

    query: str
    ranking: str
    vector: NDArray[np.float32] | None
    words: Sequence[str]


@dataclass(frozen=True)
class SearchResult:
    """Chunks in time order, their vectors by id, and what the history was made with."""

    chunks: tuple[Chunk, ...]
    vectors: Mapping[str, Vectors]
    settings: Settings


@dataclass(frozen=True)
class Search:
    """Searches the histories of a store. `tokens` counts as the encoder does; `rrf_constant` is
    that of reciprocal rank fusion."""

    store: Store
    tokens: TokenCounter
    rrf_constant: int

    def find(self, tenant: str, history: str, sought: Sought, max_tokens: int) -> SearchResult:
        """The chunks that fit. Raises NotFound for an unknown or empty history."""
        limit = candidates(max_tokens)
        hits = self.store.search(tenant, history, sought.vector, sought.words, limit)
        ranked = order(sought.query, hits, sought.ranking, self.rrf_constant)
        chunks = fill(ranked, hits.sessions, max_tokens, self.tokens)
        inside = {chunk.id: _inside(chunk, hits.units.values()) for chunk in chunks}
        vectors = self.store.vectors(tenant, history, set().union(*inside.values()))
        found = {
            id_: [vectors[unit] for unit in units if unit in vectors]
            for id_, units in inside.items()
        }
        directions = {id_: mean_direction(some) for id_, some in found.items() if some}
        return SearchResult(chunks, directions, hits.settings)


def _inside(chunk: Chunk, units: Iterable[Unit]) -> list[str]:
    """The units whose lines all lie in the chunk; of those that overlap it, if there is none."""
    turns = set(chunk.turn_ids)
    near = [
        (unit.id, {line.turn_id for line in unit.lines})
        for unit in units
        if unit.session == chunk.session
    ]
    whole = [id_ for id_, held in near if held <= turns]
    return whole or [id_ for id_, held in near if held & turns]
