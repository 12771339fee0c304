"""Which requests are worked on, and how many at a time.

Extractions wait for their turn, tenants in fair turns. Calls that work on histories are short, and
are refused where there is no room.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from budgetmem.config import PIPELINE
from budgetmem.history import IngestReport
from budgetmem.pipeline import ExtractRequest, Observer
from budgetmem.scheduling.interface import MAX_TOKENS
from budgetmem.scheduling.tier_scheduler import TierScheduler, Work
from budgetmem.stages import REQUEST
from budgetmem.store.base import DeletionProof, HistoryInfo
from budgetmem.types import Answer, Memory, Turn
from server.engine import DeletingHistories, Extractor
from server.room import Room

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
        arrived = replace(request, arrived=now)
        return await self.scheduler.run(place, lambda _: work(arrived))


@dataclass(frozen=True)
class AdmittedHistories:
    """Histories behind a door that lets in as many calls as there is room for."""

    inner: DeletingHistories
    room: Room

    async def ingest(self, tenant: str, history: str, turns: Sequence[Turn]) -> IngestReport:
        with self.room.place(tenant):
            return await self.inner.ingest(tenant, history, turns)

    async def list(self, tenant: str) -> Sequence[str]:
        with self.room.place(tenant):
            return await self.inner.list(tenant)

    async def info(self, tenant: str, history: str) -> HistoryInfo:
        with self.room.place(tenant):
            return await self.inner.info(tenant, history)

    async def export(self, tenant: str, history: str) -> Iterator[Turn]:
        with self.room.place(tenant):
            return await self.inner.export(tenant, history)

    async def delete(self, tenant: str, history: str) -> DeletionProof:
        with self.room.place(tenant):
            return await self.inner.delete(tenant, history)

    async def delete_turns(
        self, tenant: str, history: str, turn_ids: Collection[str]
    ) -> DeletionProof:
        with self.room.place(tenant):
            return await self.inner.delete_turns(tenant, history, turn_ids)

    async def delete_tenant(
        self, tenant: str, on_deleted: Callable[[DeletionProof], None] = lambda proof: None
    ) -> DeletionProof:
        with self.room.place(tenant):
            return await self.inner.delete_tenant(tenant, on_deleted)
