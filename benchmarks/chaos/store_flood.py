"""Ingests and exports of several tenants, more than there is room for, and the memory they take.

Some callers send messages almost as large as they may be. Others begin to read an export, and read
no further.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import grpc

from benchmarks.chaos.footprint import footprint
from benchmarks.chaos.requests import Ask, Outcomes
from budgetmem.client.failures import translated
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceStub
from budgetmem.types import Turn
from budgetmem.wire.requests import TENANT_KEY
from budgetmem.wire.values import encode_turn
from server.child import Served

TENANTS = 6
INGESTING = 9
EXPORTING = 12
"""Callers of each tenant: together more exports than the server has room for."""

FLOOD_S = 30.0
PATIENCE_S = 20.0
"""The deadline of an ingest."""

EVERY_S = 0.2
MOST_MORE_BYTES = 2 * 1024**3
"""What the server may have during the flood beyond what it had before. Half of it are 64 calls on
histories at a time with a message of 16 MiB each; the rest is for pages of exports, for the 128 MiB
of messages that are worked on, and for what the allocator keeps."""

RECOVERY_LIMIT_S = 60.0
HISTORY = "flood"
LABELS = {f"k{number}": "x" * 20_000 for number in range(60)}
TURNS = [Turn(f"t{number}", "Ana", "I booked it.", metadata=LABELS) for number in range(12)]
"""Of messages of 14 MB that cost no embedding, so that memory is what runs short."""

REQUEST = pb.IngestRequest(history=HISTORY, turns=map(encode_turn, TURNS))


@dataclass(frozen=True)
class StoreFlood:
    """The server's resident bytes before the flood and their most during it; how long after it an
    ingest was taken again (None: not within the limit)."""

    before_bytes: int
    most_bytes: int
    recovery_s: float | None
    ingests: dict[str, int]
    exports: dict[str, int]

    @property
    def kept(self) -> bool:
        """Whether memory stayed below the ceiling, ingests were taken all the while or refused with
        a hint, and the server recovered."""
        bounded = self.most_bytes - self.before_bytes <= MOST_MORE_BYTES
        useful = self.ingests["answered"] > 0
        wrong = sum(
            each["failed"] + each["refused_without_hint"] for each in (self.ingests, self.exports)
        )
        return bounded and useful and self.recovery_s is not None and not wrong

    def report(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "most_more_bytes": MOST_MORE_BYTES}


async def run(served: Served) -> StoreFlood:
    """Every tenant ingests once; then all of them flood the server."""
    ingests, exports = Outcomes(), Outcomes()
    async with AsyncExitStack() as stack:
        everyone = [
            _Tenant(
                f"flood{number}",
                await stack.enter_async_context(grpc.aio.insecure_channel(served.address)),
            )
            for number in range(TENANTS)
        ]
        for tenant in everyone:
            await tenant.ingest(None)
        before, end = footprint(served.pid).server_bytes, time.monotonic() + FLOOD_S
        flood = [
            _repeated(end, outcomes, call)
            for tenant in everyone
            for callers, outcomes, call in (
                (INGESTING, ingests, partial(tenant.ingest, PATIENCE_S)),
                (EXPORTING, exports, partial(tenant.stall, end)),
            )
            for _ in range(callers)
        ]
        # In a thread: what is sent keeps the event loop busy.
        measured = asyncio.to_thread(_most, served.pid, end)
        most, _ = await asyncio.gather(measured, asyncio.gather(*flood))
        begin = time.monotonic()
        while not (back := await _taken(everyone[0])):
            if time.monotonic() - begin > RECOVERY_LIMIT_S:
                break
        recovery_s = time.monotonic() - begin if back else None
    return StoreFlood(before, most, recovery_s, ingests.report(), exports.report())


@dataclass(frozen=True)
class _Tenant:
    """Whose calls go past the client's batches, which are a seventh of what a message may be."""

    name: str
    channel: grpc.aio.Channel

    async def ingest(self, timeout_s: float | None) -> None:
        with translated(self.name):
            await self._stub.Ingest(REQUEST, timeout=timeout_s, metadata=self._metadata)

    async def stall(self, until: float) -> None:
        """Reads one turn of an export, and no other until the time has come."""
        request = pb.ExportHistoryRequest(history=HISTORY)
        call = self._stub.ExportHistory(request, metadata=self._metadata)
        try:
            with translated(self.name):
                await call.read()
            await asyncio.sleep(until - time.monotonic())
        finally:
            call.cancel()

    @property
    def _stub(self) -> Any:  # noqa: ANN401 - its stubs describe one of the two kinds of channels
        return MemoryServiceStub(self.channel)

    @property
    def _metadata(self) -> tuple[tuple[str, str]]:
        return ((TENANT_KEY, self.name),)


async def _repeated(end: float, outcomes: Outcomes, call: Ask) -> None:
    while time.monotonic() < end:
        await outcomes.of(call)
        await asyncio.sleep(EVERY_S)


def _most(pid: int, end: float) -> int:
    """Resident bytes, until the time has come."""
    most = 0
    while time.monotonic() < end:
        most = max(most, footprint(pid).server_bytes)
        time.sleep(EVERY_S)
    return most


async def _taken(tenant: _Tenant) -> bool:
    outcomes = Outcomes()
    await outcomes.of(partial(tenant.ingest, PATIENCE_S))
    return bool(outcomes.counts["answered"])
