"""Calls on histories of several tenants, more than there is room for, and the memory they take.

Some callers send messages almost as large as they may be. Others begin to read an export, and read
no further. In the end all of them send next to nothing, at once, about turns that are large.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import grpc

from benchmarks.chaos.footprint import footprint
from benchmarks.chaos.requests import Ask, Outcomes
from budgetmem.client.failures import translated
from budgetmem.errors import DuplicateTurn, NotFound
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

AT_ONCE = 16
"""Small calls of each tenant, as many as it may have."""

FLOOD_S = 30.0
PATIENCE_S = 20.0
"""The deadline of a call, save an export."""

EVERY_S = 0.2
OFTEN_S = 0.05
"""Between calls of one caller, and between two looks at the memory."""

MOST_MORE_BYTES = 2 * 1024**3
"""What the server may have during the flood beyond what it had before. Half of it are 64 calls on
histories at a time with a message of 16 MiB each; the rest is for pages of exports, for the 128 MiB
of messages that are worked on, and for what the allocator keeps."""

RECOVERY_LIMIT_S = 60.0
HISTORY = "flood"
LARGE = "large"
LABELS = {f"k{number}": "x" * 20_000 for number in range(60)}
TURNS = [Turn(f"t{number}", "Ana", "I booked it.", metadata=LABELS) for number in range(12)]
"""Of messages of 14 MB that cost no embedding, so that memory is what runs short."""

REQUEST = pb.IngestRequest(history=HISTORY, turns=map(encode_turn, TURNS))

PARTS = [[replace(turn, id=f"{part}.{turn.id}") for turn in TURNS] for part in range(3)]
BUILDING = [pb.IngestRequest(history=LARGE, turns=map(encode_turn, part)) for part in PARTS]
IDS = [turn.id for part in PARTS for turn in part]
TAKEN = pb.IngestRequest(
    history=LARGE,
    turns=[encode_turn(Turn(name, "Ana", "I booked it.", session="another")) for name in IDS],
)
ERASING = pb.DeleteTurnsRequest(history=LARGE, turn_ids=IDS)
"""Two small messages about turns of 43 MB."""


@dataclass(frozen=True)
class StoreFlood:
    """The server's resident bytes before the flood and their most during it; how long after it an
    ingest was taken again (None: not within the limit)."""

    before_bytes: int
    most_bytes: int
    recovery_s: float | None
    ingests: dict[str, int]
    exports: dict[str, int]
    repeats: dict[str, int]
    erasures: dict[str, int]

    @property
    def kept(self) -> bool:
        """Whether memory stayed below the ceiling, calls were taken all the while or refused with
        a hint, and the server recovered."""
        bounded = self.most_bytes - self.before_bytes <= MOST_MORE_BYTES
        useful = all(each["answered"] for each in (self.ingests, self.repeats, self.erasures))
        everything = (self.ingests, self.exports, self.repeats, self.erasures)
        wrong = sum(each["failed"] + each["refused_without_hint"] for each in everything)
        return bounded and useful and self.recovery_s is not None and not wrong

    def report(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "most_more_bytes": MOST_MORE_BYTES}


async def run(served: Served) -> StoreFlood:
    """Every tenant ingests; then all of them flood the server."""
    ingests, exports, repeats, erasures = Outcomes(), Outcomes(), Outcomes(), Outcomes()
    async with AsyncExitStack() as stack:
        everyone = [
            _Tenant(
                f"flood{number}",
                await stack.enter_async_context(grpc.aio.insecure_channel(served.address)),
            )
            for number in range(TENANTS)
        ]
        for tenant in everyone:
            for request in (REQUEST, *BUILDING):
                await tenant.ingest(None, request)
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
        async with _measured(served.pid) as found:
            await asyncio.gather(*flood)
        begin = time.monotonic()
        while not (back := await _taken(everyone[0])):
            if time.monotonic() - begin > RECOVERY_LIMIT_S:
                break
        recovery_s = time.monotonic() - begin if back else None
        async with _measured(served.pid) as small:
            for outcomes, at_once in (
                (repeats, [partial(tenant.repeat, PATIENCE_S) for tenant in everyone]),
                (erasures, [partial(tenant.erase, PATIENCE_S) for tenant in everyone]),
            ):
                await asyncio.gather(*(outcomes.of(call) for call in at_once * AT_ONCE))
    reports = (each.report() for each in (ingests, exports, repeats, erasures))
    return StoreFlood(before, max(*found, *small), recovery_s, *reports)


@dataclass(frozen=True)
class _Tenant:
    """Whose calls go past the client's batches, which are a seventh of what a message may be."""

    name: str
    channel: grpc.aio.Channel

    async def ingest(self, timeout_s: float | None, request: pb.IngestRequest = REQUEST) -> None:
        with translated(self.name):
            await self._stub.Ingest(request, timeout=timeout_s, metadata=self._metadata)

    async def repeat(self, timeout_s: float) -> None:
        """Sends ids that are taken, in another session than theirs."""
        with suppress(DuplicateTurn):
            await self.ingest(timeout_s, TAKEN)

    async def erase(self, timeout_s: float) -> None:
        """Erases the large turns, unless another call was first."""
        with suppress(NotFound), translated(self.name):
            await self._stub.DeleteTurns(ERASING, timeout=timeout_s, metadata=self._metadata)

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


@asynccontextmanager
async def _measured(pid: int) -> AsyncIterator[Sequence[int]]:
    """Resident bytes, again and again in what is done inside, once at least."""
    found, over = [footprint(pid).server_bytes], threading.Event()

    def measure() -> None:
        while not over.wait(OFTEN_S):
            found.append(footprint(pid).server_bytes)

    # In a thread: what is sent keeps the event loop busy.
    measuring = asyncio.create_task(asyncio.to_thread(measure))
    try:
        yield found
    finally:
        over.set()
        await measuring


async def _taken(tenant: _Tenant) -> bool:
    outcomes = Outcomes()
    await outcomes.of(partial(tenant.ingest, PATIENCE_S))
    return bool(outcomes.counts["answered"])
