"""A profile's models behind the tier scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import numpy as np

from budgetmem.backbone import (
    Annotation,
    Backbone,
    Caller,
    Completion,
    Encoder,
    GenerationRequest,
    Models,
    Tagger,
    TokenCounter,
    Vectors,
)
from budgetmem.config import ENCODER, TAGGER
from budgetmem.scheduling.interface import MAX_TOKENS
from budgetmem.scheduling.recent import Recent
from budgetmem.scheduling.tier_scheduler import TierScheduler, Work
from budgetmem.stages import INGEST
from budgetmem.text import forget_words

REMEMBERED = 4096
"""Texts whose embedding, and whose annotation, is remembered by default."""

COUNTED_AT_ONCE = 4
"""Texts whose tokens are counted on the event loop, without a thread."""

R = TypeVar("R")


class ScheduledModels:
    """`budgetmem.backbone.Models` whose every call waits in a scheduler for its turn.

    Work is done for a `bound` caller: without one, or for a stage that has no queue, calls raise
    InvalidInput("queue"). They raise Overloaded where too much is waiting, DeadlineExceeded for
    work that could not be sent in time, ServerUnavailable once the scheduler is closed.

    The embeddings and annotations of the `remembered` last texts are kept, each for the tenant that
    asked; 0 keeps none. Those of ingests are not: they are in the store, and a turn that is deleted
    from it meanwhile may be in a text that its ingest embeds later.
    `encoder_tokens` is what the encoder reads of a text at most.
    """

    def __init__(
        self,
        models: Models,
        scheduler: TierScheduler,
        *,
        remembered: int = REMEMBERED,
        encoder_tokens: int = MAX_TOKENS,
    ) -> None:
        async def embed(texts: list[str]) -> list[Vectors]:
            return list(await models.encoder.embed(texts))

        async def annotate(texts: list[str]) -> tuple[Annotation, ...]:
            return await models.tagger.annotate(texts)

        def encoder_length(text: str) -> int:
            return min(models.encoder.tokens.count(text), encoder_tokens)

        self._models = models
        self._scheduler = scheduler
        self._vectors = _Texts(ENCODER, scheduler, embed, encoder_length, Recent(remembered))
        self._annotations = _Texts(TAGGER, scheduler, annotate, _words, Recent(remembered))
        self._caller = Caller()

    @property
    def scheduler(self) -> TierScheduler:
        """What the calls wait in; its counters are of interest."""
        return self._scheduler

    def bound(self, caller: Caller) -> ScheduledModels:
        """The same models and memories, working on the caller's account."""
        view = copy(self)
        view._caller = caller
        return view

    def forget(self, tenant: str) -> None:
        """Forgets the recent texts of a tenant, for example after a history was deleted."""
        self._vectors.recent.forget(tenant)
        self._annotations.recent.forget(tenant)
        forget_words()

    def forget_all(self) -> None:
        """Forgets the recent texts of everybody."""
        self._vectors.recent.forget_all()
        self._annotations.recent.forget_all()
        forget_words()

    @property
    def backbones(self) -> Mapping[str, Backbone]:
        """By their profile key, which names their queues too."""
        return {
            key: _ScheduledBackbone(each, key, self._scheduler, self._caller)
            for key, each in self._models.backbones.items()
        }

    @property
    def encoder(self) -> Encoder:
        """Its texts may share batches with those of any other caller."""
        return _ScheduledEncoder(self._models.encoder, self._vectors, self._caller)

    @property
    def tagger(self) -> Tagger:
        """Its texts may share batches with those of any other caller."""
        return _ScheduledTagger(self._models.tagger, self._annotations, self._caller)


@dataclass(frozen=True)
class _ScheduledBackbone:
    """A backbone on one caller's account."""

    inner: Backbone
    key: str
    scheduler: TierScheduler
    caller: Caller

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def tokens(self) -> TokenCounter:
        return self.inner.tokens

    async def generate(
        self, request: GenerationRequest, on_first_token: Callable[[], None] | None = None
    ) -> Completion:
        def send(first_token: Callable[[], None]) -> Awaitable[Completion]:
            return self.inner.generate(request, partial(_both, first_token, on_first_token))

        read = request.prompt_tokens or self.tokens.count(request.prompt)
        prefix = request.prompt[: request.shared]
        work = _work(self.caller, self.key, read + request.max_tokens, prefix)
        return await self.scheduler.run(work, send)


@dataclass(frozen=True)
class _Texts(Generic[R]):
    """The texts that go to one task model, whoever sends them: those that are not remembered are
    items of the scheduler, and share their batches because they share `call`."""

    model: str
    scheduler: TierScheduler
    call: Callable[[list[str]], Awaitable[Sequence[R]]]
    length: Callable[[str], int]
    recent: Recent[R]

    async def resolve(self, texts: Sequence[str], caller: Caller) -> list[R]:
        if caller.stage == INGEST:
            return await self._compute(caller, list(texts))
        return await self.recent.resolve(
            caller.tenant, texts, partial(self._compute, caller), caller.born
        )

    async def _compute(self, caller: Caller, texts: list[str]) -> list[R]:
        lengths = await self._lengths(texts)
        works = [_work(caller, self.model, length) for length in lengths]
        return await self.scheduler.map(works, texts, self.call)

    async def _lengths(self, texts: list[str]) -> list[int]:
        # Tokenizing a whole ingest would hold up the loop; a query is done before a thread wakes.
        if len(texts) <= COUNTED_AT_ONCE:
            return [self.length(text) for text in texts]
        return await asyncio.to_thread(lambda: [self.length(text) for text in texts])


@dataclass(frozen=True)
class _ScheduledEncoder:
    """An encoder on one caller's account."""

    inner: Encoder
    texts: _Texts[Vectors]
    caller: Caller

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def dimension(self) -> int:
        return self.inner.dimension

    @property
    def tokens(self) -> TokenCounter:
        return self.inner.tokens

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return np.stack(await self.texts.resolve(texts, self.caller))

    def remembered(self, texts: Sequence[str]) -> int:
        return self.texts.recent.count(self.caller.tenant, texts)


@dataclass(frozen=True)
class _ScheduledTagger:
    """A tagger on one caller's account."""

    inner: Tagger
    texts: _Texts[Annotation]
    caller: Caller

    @property
    def name(self) -> str:
        return self.inner.name

    async def annotate(self, texts: Sequence[str]) -> tuple[Annotation, ...]:
        return tuple(await self.texts.resolve(texts, self.caller))

    def remembered(self, texts: Sequence[str]) -> int:
        return self.texts.recent.count(self.caller.tenant, texts)


def _work(caller: Caller, model: str, tokens: int, prefix: str = "") -> Work:
    """An item of a queue; its tokens are what the scheduler can take."""
    # Nobody waits for the leader of another tenant, and so learns that it asks the same.
    shared = prefix and f"{caller.tenant}\0{prefix}"
    return Work(
        queue=(caller.stage, model),
        tenant=caller.tenant,
        tokens=min(max(tokens, 1), MAX_TOKENS),
        prefix=shared,
        born=caller.born,
        deadline=caller.deadline,
    )


def _words(text: str) -> int:
    return len(text.split())


def _both(first: Callable[[], None], second: Callable[[], None] | None) -> None:
    first()
    if second is not None:
        second()
