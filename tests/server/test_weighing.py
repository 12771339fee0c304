"""What large messages take: told before they are decoded, and few at a time."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import grpc
import pytest

from budgetmem.errors import InvalidInput, Overloaded
from budgetmem.info import Limits
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.store.base import Size
from server import weighing
from server.room import Room, Share
from server.security.tenants import NamedTenants
from server.weighing import INLINE_BYTES, TURN_BYTES, Weighing, ingest_room, session_places
from tests.server.fake_engine import running

SERVICE = "/budgetmem.v1.MemoryService/"
WAIT_S = 60


class Scale:
    """A handler behind the interceptor, which notes what is decoded; it works until `go` is set."""

    def __init__(self, request=pb.IngestRequest, room=None, limits=None):
        self.go, self.inside, self.decoded = asyncio.Event(), 0, []
        self._request, self._weighing = request, Weighing(NamedTenants(), limits or Limits(), room)

    async def __call__(self, message, tenant="ana"):
        method = f"{SERVICE}{self._request.DESCRIPTOR.name.removesuffix('Request')}"
        details = SimpleNamespace(method=method)
        handler = await self._weighing.intercept_service(self._handler, details)
        assert handler.request_deserializer is None
        metadata = (("budgetmem-tenant", tenant),)
        context = SimpleNamespace(invocation_metadata=lambda: metadata)
        return await handler.unary_unary(message, context)

    async def _handler(self, _details):
        return grpc.unary_unary_rpc_method_handler(self._work, self._decode)

    def _decode(self, raw):
        self.decoded.append(raw)
        return self._request.FromString(raw)

    async def _work(self, request, _context):
        self.inside += 1
        await self.go.wait()
        return request


def message(count, text="x"):
    turns = [pb.Turn(id=f"{n}", speaker="Ana", text=text) for n in range(count)]
    return pb.IngestRequest(history="trip", turns=turns).SerializeToString()


async def test_only_so_many_bytes_are_ingested_at_a_time():
    large = message(2, "x" * 10_000)
    size = len(large) + 2 * TURN_BYTES
    scale = Scale(room=Room(Share(3 * size, 2 * size), "bytes of turns"))
    running = [asyncio.ensure_future(scale(large, tenant)) for tenant in ("ana", "ana", "ben")]
    while scale.inside < 3:
        await asyncio.sleep(0)
    for tenant in ("ana", "cyn"):
        with pytest.raises(Overloaded, match="bytes of turns"):
            await scale(large, tenant)
    assert len(scale.decoded) == 3
    scale.go.set()
    assert [len(request.turns) for request in await asyncio.gather(*running)] == [2, 2, 2]
    assert len((await scale(large, "cyn")).turns) == 2


async def test_small_turns_count_for_what_they_take_in_memory():
    scale = Scale(room=Room(Share(100 * TURN_BYTES, 100 * TURN_BYTES), "bytes of turns"))
    running = asyncio.ensure_future(scale(message(60)))
    while not scale.inside:
        await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await scale(message(60), "ben")
    scale.go.set()
    await running


def test_the_largest_message_always_fits_twice():
    limits = Limits()
    room = ingest_room(limits)
    with room.place("ana", limits.message_bytes), room.place("ana", limits.message_bytes):
        pass


def test_a_session_of_any_size_can_be_written_to_and_takes_nothing_from_others():
    limits = Limits()
    place, huge = session_places(limits), Size(200_000, 16 * limits.message_bytes)
    with place("ana", huge):
        with pytest.raises(Overloaded, match="bytes of sessions"), place("ana", Size(20, 2_000)):
            pass
        with place("ben", Size(20, 2_000)), place("cem", huge):
            pass
    with place("ana", Size(20, 2_000)), place("ana", Size(20, 2_000)):
        pass


@pytest.mark.parametrize(
    ("request_type", "raw"),
    [
        pytest.param(pb.IngestRequest, b"\x0a\x01h" + b"\x12\x00" * 100_000, id="turns"),
        pytest.param(pb.IngestRequest, b"\x12\xc0\x9a\x0c" + b"\x3a\x00" * 100_000, id="labels"),
        pytest.param(pb.DeleteTurnsRequest, b"\x12\x00" * 100_000, id="turn ids"),
    ],
)
async def test_many_small_things_are_refused_before_they_are_made(request_type, raw):
    """Protobuf takes twenty to seventy times their bytes for them."""
    scale = Scale(request_type)
    with pytest.raises(InvalidInput):
        await scale(raw)
    assert scale.decoded == []


async def test_what_is_malformed_is_bad_input_and_takes_no_place():
    size = TURN_BYTES + 10
    scale = Scale(room=Room(Share(size, size), "bytes of turns"))
    for _ in range(2):
        with pytest.raises(InvalidInput, match="cannot be decoded"):
            await scale(b"\x12\x00\x12\x05")


@pytest.mark.parametrize("aside", [False, True])
async def test_large_messages_are_looked_at_in_a_worker(monkeypatch, aside):
    threads, look = [], weighing.count_turns

    def noted(raw, limits):
        threads.append(threading.current_thread())
        return look(raw, limits)

    monkeypatch.setattr(weighing, "count_turns", noted)
    scale = Scale()
    scale.go.set()
    assert await scale(message(1, "x" * INLINE_BYTES if aside else "x"))
    assert [thread is not threading.current_thread() for thread in threads] == [aside]


def test_callers_are_told_the_field():
    with running() as server, grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(f"{SERVICE}Ingest")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\x0a\x01h" + b"\x12\x00" * 20_000, timeout=WAIT_S)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert dict(caught.value.trailing_metadata())["budgetmem-field"] == "turns"
    assert caught.value.details().endswith("send several")
