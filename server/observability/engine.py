"""The engine, watched: receipts are counted where requests end, and calls learn whose they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from budgetmem.history import IngestReport
from budgetmem.pipeline import Event, ExtractRequest, Observer, StepEvent
from budgetmem.store.base import DeletionProof, HistoryInfo
from budgetmem.types import Answer, Memory, Receipt, Step, Turn
from server.engine import Extractor, Histories
from server.observability.calls import current_call
from server.observability.receipts import ReceiptMetrics

T = TypeVar("T", Memory, Answer)


@dataclass(frozen=True)
class ObservedExtractor:
    """An Extractor whose receipts are counted; of a request that fails, the steps it did."""

    inner: Extractor
    metrics: ReceiptMetrics

    async def extract(self, request: ExtractRequest, observe: Observer | None = None) -> Memory:
        return await self._count(self.inner.extract, request, observe)

    async def answer(self, request: ExtractRequest, observe: Observer | None = None) -> Answer:
        return await self._count(self.inner.answer, request, observe)

    async def _count(
        self,
        work: Callable[[ExtractRequest, Observer | None], Awaitable[T]],
        request: ExtractRequest,
        observe: Observer | None,
    ) -> T:
        _note_tenant(request.tenant)
        done: list[Step] = []
        receipt: Receipt | None = None

        def notice(event: Event) -> None:
            if isinstance(event, StepEvent):
                done.append(event.step)
            if observe is not None:
                observe(event)

        try:
            result = await work(request, notice)
            receipt = result.receipt
        finally:
            if receipt is None:
                self.metrics.count_steps(request.strategy, done)
                _note_cost(sum(step.usage.cost_usd for step in done))
            else:
                self.metrics.count(receipt)
                _note_cost(receipt.total.cost_usd)
        return result


@dataclass(frozen=True)
class ObservedHistories:
    """Histories whose ingests are counted."""

    inner: Histories
    metrics: ReceiptMetrics

    async def ingest(self, tenant: str, history: str, turns: Sequence[Turn]) -> IngestReport:
        _note_tenant(tenant)
        report = await self.inner.ingest(tenant, history, turns)
        self.metrics.count_ingest(report)
        return report

    async def list(self, tenant: str) -> Sequence[str]:
        _note_tenant(tenant)
        return await self.inner.list(tenant)

    async def info(self, tenant: str, history: str) -> HistoryInfo:
        _note_tenant(tenant)
        return await self.inner.info(tenant, history)

    def export(self, tenant: str, history: str) -> AsyncIterator[Turn]:
        _note_tenant(tenant)
        return self.inner.export(tenant, history)

    async def delete(self, tenant: str, history: str) -> DeletionProof:
        _note_tenant(tenant)
        return await self.inner.delete(tenant, history)

    async def delete_turns(
        self, tenant: str, history: str, turn_ids: Collection[str]
    ) -> DeletionProof:
        _note_tenant(tenant)
        return await self.inner.delete_turns(tenant, history, turn_ids)

    async def delete_tenant(self, tenant: str) -> DeletionProof:
        _note_tenant(tenant)
        return await self.inner.delete_tenant(tenant)


def _note_tenant(tenant: str) -> None:
    call = current_call()
    if call is not None:
        call.tenant = tenant


def _note_cost(usd: float) -> None:
    call = current_call()
    if call is not None:
        call.cost_usd += usd
