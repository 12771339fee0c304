"""What the service does with large messages: not in the event loop; and with those who stop
listening."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from budgetmem.errors import InvalidInput
from budgetmem.info import Limits
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from server import service
from server.engine import Engine, EngineSlot
from server.security.tenants import NamedTenants
from server.service import INLINE_TURNS, MemoryService
from tests.server.fake_engine import INFO, FakeHistories, FakePipeline, FakeRouters


def served(histories, limits=INFO.limits, pipeline=None):
    slot = EngineSlot()
    info = replace(INFO, limits=limits)
    slot.fill(Engine(histories, pipeline or FakePipeline(), info, FakeRouters()))
    return MemoryService(slot, NamedTenants())


def of(tenant):
    return SimpleNamespace(
        invocation_metadata=lambda: (("budgetmem-tenant", tenant),), time_remaining=lambda: None
    )


def message(count, text="x"):
    turns = [pb.Turn(id=f"{n}", speaker="Ana", text=text) for n in range(count)]
    return pb.IngestRequest(history="trip", turns=turns)


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
