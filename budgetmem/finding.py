"""Finds the chunks for a question, and says what that cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from budgetmem.backbone import Models, Vectors
from budgetmem.breakers import Breakers
from budgetmem.config import ENCODER, Profile
from budgetmem.errors import BackboneUnavailable
from budgetmem.ledger import Bound, Ledger
from budgetmem.prices import PriceBook
from budgetmem.reasons import UNAVAILABLE
from budgetmem.retrieval import RANKINGS
from budgetmem.types import Chunk, Usage


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

    Without `embed` it may not spend anything, and ranks by keywords alone.
    """

    async def retrieve(
        self,
        tenant: str,
        history: str,
        query: str,
        max_tokens: int | None = None,
        *,
        embed: bool = True,
    ) -> Retrieval: ...


@dataclass(frozen=True)
class Finder:
    """Retrieval under a ledger.

    With `breakers`, a query that cannot be embedded because the encoder is away is ranked by
    keywords; without them (None) that is an error.
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
        refusal = self._refusal(asked, ledger)
        try:
            found = await self._retrieve(asked, embed=refusal is None)
        except BackboneUnavailable:
            if self.breakers is None or refusal is not None:
                raise
            refusal = UNAVAILABLE
            found = await self._retrieve(asked, embed=False)
        cost = self.prices.cost(self.models.encoder.name, found.tokens)
        ledger.spend(cost)
        usage = Usage(
            input_tokens=found.tokens,
            cost_usd=cost,
            milliseconds=ledger.elapsed_ms - start,
            calls=1 if found.tokens else 0,
        )
        notes = () if refusal is None else (f"retrieval: by keywords alone ({refusal})",)
        return found, usage, notes

    async def _retrieve(self, asked: Question, *, embed: bool) -> Retrieval:
        return await self.retriever.retrieve(
            asked.tenant, asked.history, asked.query, asked.max_tokens, embed=embed
        )

    def _refusal(self, asked: Question, ledger: Ledger) -> str | None:
        """Why the query cannot be embedded; None if it can, or need not be."""
        if not RANKINGS[self.profile.retrieval.ranking].vectors:
            return None
        if self.breakers is not None and self.breakers.refuses(ENCODER):
            return UNAVAILABLE
        encoder = self.models.encoder
        return ledger.refusal(
            Bound(self.prices.cost(encoder.name, encoder.tokens.count(asked.query)))
        )
