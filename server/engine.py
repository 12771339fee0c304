"""What the service stands in front of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from budgetmem.errors import NotFound, ServerUnavailable, StoreDamaged
from budgetmem.history import IngestReport
from budgetmem.info import CostWeights, Frontier, RouterVersion, Sample, ServerInfo
from budgetmem.pipeline import ExtractRequest, Observer
from budgetmem.store.base import DeletionProof, HistoryInfo, OnDeleted
from budgetmem.types import Answer, Memory, Turn


class Histories(Protocol):
    """Keeps the turns of every tenant (`budgetmem.history.Histories`)."""

    async def ingest(self, tenant: str, history: str, turns: Sequence[Turn]) -> IngestReport: ...

    async def list(self, tenant: str) -> Sequence[str]: ...

    async def info(self, tenant: str, history: str) -> HistoryInfo: ...

    def export(self, tenant: str, history: str) -> AsyncIterator[Turn]: ...

    async def delete(self, tenant: str, history: str) -> DeletionProof: ...

    async def delete_turns(
        self, tenant: str, history: str, turn_ids: Collection[str]
    ) -> DeletionProof: ...

    async def delete_tenant(self, tenant: str) -> DeletionProof: ...


class DeletingHistories(Histories, Protocol):
    """Those that tell what they have deleted, before they go on to the next, or to a scan."""

    async def delete(
        self, tenant: str, history: str, on_deleted: OnDeleted = ...
    ) -> DeletionProof: ...

    async def delete_turns(
        self,
        tenant: str,
        history: str,
        turn_ids: Collection[str],
        on_deleted: OnDeleted = ...,
    ) -> DeletionProof: ...

    async def delete_tenant(self, tenant: str, on_deleted: OnDeleted = ...) -> DeletionProof: ...


class Extractor(Protocol):
    """Extracts and answers (`budgetmem.pipeline.Pipeline`)."""

    async def extract(self, request: ExtractRequest, observe: Observer | None = None) -> Memory: ...

    async def answer(self, request: ExtractRequest, observe: Observer | None = None) -> Answer: ...


class Routers(Protocol):
    """The routers that choose for the pipeline (`server.routers.ServedRouters`)."""

    def versions(self) -> Mapping[str, str]: ...

    def cost_weights(self) -> Mapping[str, CostWeights]: ...

    def frontiers(self) -> Mapping[str, Frontier]: ...

    async def reload(self, strategy: str) -> Sequence[RouterVersion]: ...


@dataclass(frozen=True)
class Engine:
    """Everything that answers the service's calls. `described` leaves the routers out.

    `metrics` gives those of this moment, and is called in a thread; unwatched there are none.
    """

    histories: Histories
    pipeline: Extractor
    described: ServerInfo
    routers: Routers
    metrics: Callable[[], Sequence[Sample]] = tuple

    @property
    def info(self) -> ServerInfo:
        """What the server runs at this moment."""
        return replace(
            self.described,
            routers=self.routers.versions(),
            cost_weights=self.routers.cost_weights(),
            frontiers=self.routers.frontiers(),
        )


class EngineSlot:
    """Where the services find the engine, once there is one."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def fill(self, engine: Engine) -> None:
        """From now on, calls are answered by `engine`."""
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """Raises ServerUnavailable as long as there is none."""
        if self._engine is None:
            raise ServerUnavailable("the server is starting: its models are still being loaded")
        return self._engine


async def overview(histories: Histories, tenant: str) -> list[HistoryInfo]:
    """Counts of every history of a tenant, by name; one that is deleted meanwhile is left out."""
    found: list[HistoryInfo] = []
    for name in await histories.list(tenant):
        try:
            found.append(await histories.info(tenant, name))
        except StoreDamaged:
            found.append(HistoryInfo.of_damaged(name))
        except NotFound:
            continue
    return found
