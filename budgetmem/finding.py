"""Finds the chunks for a question, and says what that cost."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from budgetmem.backbone import Models, Vectors
from budgetmem.breakers import Breakers
from budgetmem.config import ENCODER, Profile
from budgetmem.errors import BackboneUnavailable, DeadlineExceeded
from budgetmem.ledger import Bound, Ledger
from budgetmem.prices import PriceBook
from budgetmem.reasons import UNAVAILABLE
from budgetmem.retrieval import RANKINGS
from budgetmem.types import Chunk, Usage

EMBEDDING_MS = 500.0
"""What the embedding of a question may take of the time that is held back for its answer: it takes
some tens of milliseconds, and a ranking by keywords alone costs more than it saves."""


class Question(Protocol):
    """What is asked (`budgetmem.pipeline.ExtractRequest`)."""

    @property
    def tenant(self) -> str: ...

    @property
    def history(self) -> str: ...

    @property
    def query(self) -> str: ...

    @property
    def max_tokens(self) -> int | None: ...


class Retrieval(Protocol):
    """What `retrieve` returns: chunks in time order, and what the encoder read to find them.

    `query` is the query's vector, None if it was not embedded; `vectors` those of chunks, by id.
    """

    @property
    def chunks(self) -> tuple[Chunk, ...]: ...

    @property
    def tokens(self) -> int: ...

    @property
    def query(self) -> Vectors | None: ...

    @property
    def vectors(self) -> Mapping[str, Vectors]: ...


class Retriever(Protocol):
    """Finds a history's chunks for a query (`budgetmem.history.Histories`).

    Without `embed` it may not spend anything, and ranks by keywords alone. With it, `born` and
    `deadline` are those of `budgetmem.backbone.Caller`: raises DeadlineExceeded where there is no
    time to embed the query, asyncio.TimeoutError where that was begun, and cut off.
    """

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
    ) -> Retrieval: ...


@dataclass(frozen=True)
class Finder:
    """Retrieval under a ledger.

    A query that cannot be embedded in time is ranked by keywords. With `breakers` so is one that
    cannot be embedded because the encoder is away; without them (None) that is an error.
    """

    profile: Profile
    models: Models
    prices: PriceBook
    retriever: Retriever
    breakers: Breakers | None = None

    async def find(
        self, asked: Question, ledger: Ledger
    ) -> tuple[Retrieval, Usage, tuple[str, ...]]:
        """The chunks, what finding them cost, and notes for the receipt."""
        start = ledger.elapsed_ms
        refusal, usage = self._refusal(asked, ledger), Usage()
        try:
            found = await self._retrieve(asked, ledger, embed=refusal is None)
        except BackboneUnavailable as exc:
            if self.breakers is None or refusal is not None:
                raise
            refusal, usage = UNAVAILABLE, self._failed(asked, reached=exc.reached)
            found = await self._retrieve(asked, ledger, embed=False)
        except DeadlineExceeded:
            refusal = ledger.time_limit
            found = await self._retrieve(asked, ledger, embed=False)
        except asyncio.TimeoutError:
            refusal, usage = ledger.time_limit, self._failed(asked)
            found = await self._retrieve(asked, ledger, embed=False)
        usage += Usage(
            input_tokens=found.tokens,
            cost_usd=self.prices.cost(self.models.encoder.name, found.tokens),
            calls=1 if found.tokens else 0,
            milliseconds=ledger.elapsed_ms - start,
        )
        ledger.spend(usage.cost_usd)
        notes = () if refusal is None else (f"retrieval: by keywords alone ({refusal})",)
        return found, usage, notes

    async def _retrieve(self, asked: Question, ledger: Ledger, *, embed: bool) -> Retrieval:
        return await self.retriever.retrieve(
            asked.tenant,
            asked.history,
            asked.query,
            asked.max_tokens,
            embed=embed,
            born=ledger.started,
            deadline=ledger.brief_deadline(EMBEDDING_MS),
        )

    def _refusal(self, asked: Question, ledger: Ledger) -> str | None:
        """Why the query cannot be embedded; None if it can, or need not be."""
        if not RANKINGS[self.profile.retrieval.ranking].vectors:
            return None
        if self.breakers is not None and self.breakers.refuses(ENCODER):
            return UNAVAILABLE
        return ledger.refusal(self._bound(asked))

    def _failed(self, asked: Question, *, reached: bool = True) -> Usage:
        """Of an embedding that was cut off, or broke: the encoder may read it to the end."""
        cost = self._bound(asked).cost_usd if reached else 0.0
        return Usage(cost_usd=cost, calls=1, failed_calls=1)

    def _bound(self, asked: Question) -> Bound:
        encoder = self.models.encoder
        return Bound(self.prices.cost(encoder.name, encoder.tokens.count(asked.query)))
