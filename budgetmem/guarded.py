"""A profile's models behind circuit breakers: calls that fail for a moment are made again.

Repeating is safe: no model keeps anything of a call. But one whose reply has begun may be paid for,
and is not made again; one of a backbone that came to it may be, too, and is left to its caller, who
has set aside what it costs once. Time limits are the caller's, by cancellation.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

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
from budgetmem.breakers import Breaker, Breakers
from budgetmem.config import ENCODER, TAGGER
from budgetmem.errors import BackboneUnavailable, DeadlineExceeded
from budgetmem.timeouts import in_line, within

T = TypeVar("T")


class Outage:
    """Says when all models are known to be away, and for how long calls wait for them to be back.

    `patience_s` is how long at most: a request that is let in is answered, or fails and may be sent
    again, within that.
    """

    def __init__(self, patience_s: float = 30.0) -> None:
        self._patience_s = patience_s
        self._over = asyncio.Event()
        self._over.set()

    def begin(self) -> None:
        """From now on calls wait."""
        self._over.clear()

    def end(self) -> None:
        """The models are back."""
        self._over.set()

    async def wait(self) -> None:
        """Returns when there is none. Raises BackboneUnavailable if it lasts too long."""
        if self._over.is_set():
            return
        try:
            await within(self._patience_s, self._over.wait())
        except asyncio.TimeoutError as exc:
            raise BackboneUnavailable(
                f"the models were away for {self._patience_s:g} s: they are being started anew",
                reached=False,
            ) from exc


@dataclass(frozen=True)
class Retries:
    """How often a call is made at most, and how long is waited before it is made again.

    The wait is drawn evenly from 0 to `first_s` seconds, which doubles every time ("full jitter",
    Brooker, Exponential Backoff And Jitter, 2015). It is no shorter than the server asks for, and
    what asks for more than `longest_s` is not called again: a lower rung answers sooner.
    """

    attempts: int = 3
    first_s: float = 0.2
    longest_s: float = 5.0
    draw: Callable[[float, float], float] = random.uniform
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def allow(self, failure: BackboneUnavailable) -> bool:
        """Whether the wait that the server asks for is worth it."""
        return failure.retry_after_s is None or failure.retry_after_s <= self.longest_s

    async def wait(self, failed: int, at_least_s: float = 0.0) -> None:
        """After so many failures."""
        await self.sleep(at_least_s + self.draw(0.0, self.first_s * 2 ** (failed - 1)))


@dataclass(frozen=True)
class Guard:
    """What every call of one model goes through, until the `deadline` of time.monotonic()."""

    breaker: Breaker
    outage: Outage
    retries: Retries
    probes: bool = False
    deadline: float = math.inf

    async def call(
        self,
        work: Callable[[], Awaitable[T]],
        begun: Callable[[], bool] = lambda: False,
        *,
        billed: bool = False,
    ) -> T:
        """The result of `work`, which is called again while the model is unavailable.

        Raises BackboneUnavailable after the last attempt, or at once if the breaker is open or the
        reply had `begun`, and whatever else `work` raises. If calls are `billed`, one that reached
        its model is not made again here: the error says whether, after a wait, it is worth that
        (`again`). Who is cut off in a wait gets DeadlineExceeded, or asyncio.TimeoutError if an
        attempt had reached the model, which may have cost something.
        """
        failed, reached = 0, False
        try:
            while True:
                with in_line(self._late):
                    await self.outage.wait()
                try:
                    with self.breaker.call(probes=self.probes):
                        return await work()
                except BackboneUnavailable as exc:
                    failed += 1
                    # What an earlier attempt may have cost is not forgotten for a later one.
                    reached = exc.reached = reached or exc.reached
                    last = failed == self.retries.attempts
                    if last or begun() or self.breaker.refuses or not self.retries.allow(exc):
                        raise
                    if billed and exc.reached:
                        exc.again = True
                        raise
                    with in_line(self._late):
                        await self.retries.wait(failed, exc.retry_after_s or 0.0)
        except DeadlineExceeded as exc:
            if reached:
                raise asyncio.TimeoutError from exc
            raise

    def _late(self) -> bool:
        return time.monotonic() >= self.deadline


@dataclass(frozen=True)
class GuardedModels:
    """`budgetmem.backbone.Models` behind a guard each. Half-open breakers let their calls through
    if they are `probes`, which find out whether the model is back. `deadline` is the caller's."""

    inner: Models
    breakers: Breakers
    outage: Outage
    retries: Retries = field(default_factory=Retries)
    probes: bool = False
    deadline: float = math.inf

    def bound(self, caller: Caller) -> GuardedModels:
        """The same, working on the caller's account."""
        return replace(self, inner=self.inner.bound(caller), deadline=caller.deadline)

    @property
    def backbones(self) -> Mapping[str, Backbone]:
        return {
            key: _GuardedBackbone(each, self._guard(key))
            for key, each in self.inner.backbones.items()
        }

    @property
    def encoder(self) -> Encoder:
        return _GuardedEncoder(self.inner.encoder, self._guard(ENCODER))

    @property
    def tagger(self) -> Tagger:
        return _GuardedTagger(self.inner.tagger, self._guard(TAGGER))

    def _guard(self, model: str) -> Guard:
        return Guard(
            self.breakers.by_model[model], self.outage, self.retries, self.probes, self.deadline
        )


def breakers_of(backbones: Iterable[str], make: Callable[[str], Breaker] = Breaker) -> Breakers:
    """A breaker for each backbone, by its profile key, for the encoder and for the tagger."""
    return Breakers({key: make(key) for key in (*backbones, ENCODER, TAGGER)})


@dataclass(frozen=True)
class _GuardedBackbone:
    inner: Backbone
    guard: Guard

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def tokens(self) -> TokenCounter:
        return self.inner.tokens

    async def generate(
        self, request: GenerationRequest, on_first_token: Callable[[], None] | None = None
    ) -> Completion:
        begun = asyncio.Event()

        def first_token() -> None:
            begun.set()
            self.guard.breaker.heard()
            if on_first_token is not None:
                on_first_token()

        # Probes are on nobody's account.
        return await self.guard.call(
            lambda: self.inner.generate(request, first_token),
            begun.is_set,
            billed=not self.guard.probes,
        )


@dataclass(frozen=True)
class _GuardedEncoder:
    inner: Encoder
    guard: Guard

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
        return await self.guard.call(lambda: self.inner.embed(texts))

    def remembered(self, texts: Sequence[str]) -> int:
        return self.inner.remembered(texts)


@dataclass(frozen=True)
class _GuardedTagger:
    inner: Tagger
    guard: Guard

    @property
    def name(self) -> str:
        return self.inner.name

    async def annotate(self, texts: Sequence[str]) -> tuple[Annotation, ...]:
        return await self.guard.call(lambda: self.inner.annotate(texts))

    def remembered(self, texts: Sequence[str]) -> int:
        return self.inner.remembered(texts)
