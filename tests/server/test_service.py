"""What the service does with large messages: few at a time, and not in the event loop; and with
those who stop listening."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from budgetmem.errors import InvalidInput, Overloaded
from budgetmem.info import Limits
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from server import service
from server.engine import Engine, EngineSlot
from server.room import Room, Share
from server.security.tenants import NamedTenants
from server.service import INLINE_TURNS, TURN_BYTES, MemoryService, ingest_room
from tests.server.fake_engine import INFO, FakeHistories, FakePipeline, FakeRouters


@dataclass
class SlowHistories(FakeHistories):
    """Holds every ingest until told to go on."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    inside: int = 0

    async def ingest(self, tenant, history, turns):
        self.inside += 1
        await self.go.wait()
        return await super().ingest(tenant, history, turns)


def served(histories, room=None, limits=INFO.limits, pipeline=None):
    slot = EngineSlot()
    info = replace(INFO, limits=limits)
    slot.fill(Engine(histories, pipeline or FakePipeline(), info, FakeRouters()))
    return MemoryService(slot, NamedTenants(), room)


def of(tenant):
    return SimpleNamespace(
        invocation_metadata=lambda: (("budgetmem-tenant", tenant),), time_remaining=lambda: None
    )


def message(count, text="x"):
    turns = [pb.Turn(id=f"{n}", speaker="Ana", text=text) for n in range(count)]
    return pb.IngestRequest(history="trip", turns=turns)


async def test_only_so_many_bytes_are_ingested_at_a_time():
    slow, large = SlowHistories(), message(2, "x" * 10_000)
    size = large.ByteSize() + 2 * TURN_BYTES
    door = served(slow, Room(Share(3 * size, 2 * size), "bytes of turns"))
    running = [
        asyncio.ensure_future(door.Ingest(large, of(tenant))) for tenant in ("ana", "ana", "ben")
    ]
    while slow.inside < 3:
        await asyncio.sleep(0)
    for tenant in ("ana", "cyn"):
        with pytest.raises(Overloaded, match="bytes of turns"):
            await door.Ingest(large, of(tenant))
    slow.go.set()
    assert [report.added for report in await asyncio.gather(*running)] == [2, 0, 2]
    assert (await door.Ingest(large, of("cyn"))).added == 2


async def test_small_turns_count_for_what_they_take_in_memory():
    slow = SlowHistories()
    door = served(slow, Room(Share(100 * TURN_BYTES, 100 * TURN_BYTES), "bytes of turns"))
    running = asyncio.ensure_future(door.Ingest(message(60), of("ana")))
    while not slow.inside:
        await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await door.Ingest(message(60), of("ben"))
    slow.go.set()
    await running


def test_the_largest_message_always_fits_twice():
    limits = Limits()
    room = ingest_room(limits)
    with room.place("ana", limits.message_bytes), room.place("ana", limits.message_bytes):
        pass


@pytest.mark.parametrize(
    ("count", "aside"), [(1, False), (INLINE_TURNS, False), (INLINE_TURNS + 1, True)]
)
async def test_many_turns_are_read_in_a_worker(monkeypatch, count, aside):
    threads = []
    decode = service.decode_turns

    def noted(messages, limits):
        threads.append(threading.current_thread())
        return decode(messages, limits)

    monkeypatch.setattr(service, "decode_turns", noted)
    assert (await served(FakeHistories()).Ingest(message(count), of("ana"))).added == count
    assert [thread is not threading.current_thread() for thread in threads] == [aside]


async def test_too_many_turns_are_refused_before_anybody_reads_them(monkeypatch):
    monkeypatch.setattr(service.asyncio, "to_thread", None)
    door = served(FakeHistories(), limits=Limits(message_turns=500))
    with pytest.raises(InvalidInput, match="are 501, 500 are the most of one message") as caught:
        await door.Ingest(message(501), of("ana"))
    assert caught.value.field == "turns"


async def test_a_stream_that_is_closed_has_ended_its_work():
    pipeline = FakePipeline(takes_s=60)
    asked = pb.ExtractRequest(history="trip", query="When?")
    stream = served(FakeHistories(), pipeline=pipeline).ExtractStream(asked, of("ana"))
    await anext(stream)
    await stream.aclose()
    assert pipeline.cancelled.is_set()
