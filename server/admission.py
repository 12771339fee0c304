"""Which requests are worked on, and how many at a time: they wait for their turn, tenants in fair
turns."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from budgetmem.config import PIPELINE
from budgetmem.errors import DeadlineExceeded
from budgetmem.pipeline import ExtractRequest, Observer
from budgetmem.scheduling.interface import MAX_TOKENS
from budgetmem.scheduling.tier_scheduler import TierScheduler, Work
from budgetmem.stages import REQUEST
from budgetmem.types import Answer, Memory
from server.engine import Extractor

T = TypeVar("T")


@dataclass(frozen=True)
class AdmittedExtractor:
    """An Extractor behind a door: requests wait until it has room, and their time runs meanwhile.

    So the flood of one tenant waits by itself, instead of competing with everybody at every step.
    A request costs its tenant the tokens that may be retrieved for it: `tokens` if it does not say.
    `clock` returns seconds, and must be that of the scheduler and of the pipeline.

    Raises Overloaded if too many wait, DeadlineExceeded if the latency ceiling, or the deadline of
    the caller, passes meanwhile.
    """

    inner: Extractor
    scheduler: TierScheduler
    tokens: int
    clock: Callable[[], float] = time.monotonic

    async def extract(self, request: ExtractRequest, observe: Observer | None = None) -> Memory:
        return await self._admit(request, lambda each: self.inner.extract(each, observe))

    async def answer(self, request: ExtractRequest, observe: Observer | None = None) -> Answer:
        return await self._admit(request, lambda each: self.inner.answer(each, observe))

    async def _admit(
        self, request: ExtractRequest, work: Callable[[ExtractRequest], Awaitable[T]]
    ) -> T:
        now = self.clock()
        ceiling = request.budget.max_latency_ms
        own = math.inf if ceiling is None else now + ceiling / 1e3
        callers = math.inf if request.deadline is None else request.deadline
        place = Work(
            queue=(REQUEST, PIPELINE),
            tenant=request.tenant,
            tokens=min(max(request.max_tokens or self.tokens, 1), MAX_TOKENS),
            born=now,
            deadline=min(own, callers),
        )
        admitted = asyncio.Event()

        async def admit(_: Callable[[], None]) -> T:
            admitted.set()
            return await work(replace(request, arrived=now))

        try:
            return await self.scheduler.run(place, admit)
        except DeadlineExceeded as exc:
            if admitted.is_set() or callers <= own:
                raise
            raise DeadlineExceeded(
                f"budget.max_latency_ms: {ceiling:g} ms are too few for the wait at the door: "
                "raise it, or ask again when fewer requests wait"
            ) from exc
