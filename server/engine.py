"""What the service stands in front of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from budgetmem.errors import NotFound
from budgetmem.history import IngestReport
from budgetmem.info import ServerInfo
from budgetmem.pipeline import ExtractRequest, Observer
from budgetmem.store.base import DeletionProof, HistoryInfo
from budgetmem.types import Answer, Memory, Turn


class Histories(Protocol):
    """Keeps the turns of every tenant (`budgetmem.history.Histories`)."""

    async def ingest(self, tenant: str, history: str, turns: Sequence[Turn]) -> IngestReport: ...

    async def list(self, tenant: str) -> Sequence[str]: ...

    async def info(self, tenant: str, history: str) -> HistoryInfo: ...

    async def export(self, tenant: str, history: str) -> Iterator[Turn]: ...

    async def delete(self, tenant: str, history: str) -> DeletionProof: ...


class Extractor(Protocol):
    """Extracts and answers (`budgetmem.pipeline.Pipeline`)."""

    async def extract(self, request: ExtractRequest, observe: Observer | None = None) -> Memory: ...

    async def answer(self, request: ExtractRequest, observe: Observer | None = None) -> Answer: ...


@dataclass(frozen=True)
class Engine:
    """Everything that answers the service's calls."""

    histories: Histories
    pipeline: Extractor
    info: ServerInfo


async def overview(histories: Histories, tenant: str) -> list[HistoryInfo]:
    """Counts of every history of a tenant, by name; one that is deleted meanwhile is left out."""
    found: list[HistoryInfo] = []
    for name in await histories.list(tenant):
        with contextlib.suppress(NotFound):
            found.append(await histories.info(tenant, name))
    return found
