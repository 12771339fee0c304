"""So many calls at a time, each from before its message is read until its last response."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from budgetmem.client import Client
from budgetmem.client.failures import translated
from budgetmem.errors import Overloaded
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceStub
from budgetmem.types import Turn
from server.room import STORE_METHODS, CallLimits, Share
from server.security.permissions import SCOPES
from tests.server.fake_engine import running

WAIT_S = 60
SERVICE = "/budgetmem.v1.MemoryService/"


@pytest.fixture
def server():
    with running(calls=CallLimits(calls=Share(4, 3), store=Share(2, 1))) as started:
        yield started


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.address) as opened:
        # Calls that wait for the connection come in any order, later ones in their own.
        grpc.channel_ready_future(opened).result(WAIT_S)
        yield opened


def listed(channel, tenant):
    """Calls of one connection come to the server in their order."""
    metadata = [("budgetmem-tenant", tenant)]
    with translated("the server"):
        request = pb.ListHistoriesRequest()
        MemoryServiceStub(channel).ListHistories(request, metadata=metadata, timeout=WAIT_S)


def asked(channel, tenant):
    metadata = [("budgetmem-tenant", tenant)]
    with translated("the server"):
        request = pb.ExtractRequest(history="trip", query="When?")
        MemoryServiceStub(channel).Extract(request, metadata=metadata, timeout=WAIT_S)


def granted(call, *arguments):
    """Waits for a place to be given back."""
    end = time.monotonic() + WAIT_S
    while True:
        try:
            return call(*arguments)
        except Overloaded:
            assert time.monotonic() < end
            time.sleep(0.01)


@contextmanager
def withheld(channel, method, tenant):
    """A call whose message does not come while the block lasts."""
    over = threading.Event()

    def message():
        over.wait(WAIT_S)
        yield from ()

    metadata = [("budgetmem-tenant", tenant)]
    call = channel.stream_unary(f"{SERVICE}{method}").future(message(), metadata=metadata)
    try:
        yield call
    finally:
        call.cancel()
        over.set()


def test_a_place_is_taken_before_the_message_is_read(server, channel):
    with withheld(channel, "Ingest", "ana"):
        with pytest.raises(Overloaded, match="calls on histories of one tenant") as refused:
            listed(channel, "ana")
        assert refused.value.retry_after_ms > 0
        listed(channel, "ben")
    # Its message never came, so its handler never ran; the place is given back all the same.
    granted(listed, channel, "ana")


def test_who_finds_no_place_is_told_so_before_its_message_is_read(server, channel):
    with withheld(channel, "Ingest", "ana"), withheld(channel, "Ingest", "ana") as second:
        assert second.exception(WAIT_S).code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_there_is_only_so_much_room_for_all(server, channel):
    with (
        withheld(channel, "Ingest", "ana"),
        withheld(channel, "DeleteTurns", "ben"),
        pytest.raises(Overloaded, match="calls on histories in all"),
    ):
        listed(channel, "cyn")
    granted(listed, channel, "cyn")


def test_a_reader_who_does_not_read_holds_a_place_of_exports_until_it_leaves(server, channel):
    large = [Turn(f"t{n}", "Ana", "x" * 1_000_000) for n in range(40)]
    for tenant in ("ana", "ben"):
        with Client(server.address, tenant=tenant, timeout_s=WAIT_S) as client:
            client.ingest("trip", large)
    stalled = [begun(channel, tenant) for tenant in ("ana", "ben")]
    for _ in range(3):
        with pytest.raises(Overloaded, match="2 exports in all"):
            begun(channel, "cyn")
        listed(channel, "ana")
        listed(channel, "cyn")
    for call in stalled:
        call.cancel()
    granted(begun, channel, "ana").cancel()


def begun(channel, tenant):
    """An export, of which no more is read than the first turn."""
    request = pb.ExportHistoryRequest(history="trip")
    metadata = [("budgetmem-tenant", tenant)]
    with translated("the server"):
        call = MemoryServiceStub(channel).ExportHistory(request, metadata=metadata)
        next(call)
    return call


def test_an_export_that_is_read_gives_its_place_back(server, channel):
    with Client(server.address, tenant="ana", timeout_s=WAIT_S) as client:
        client.ingest("trip", [Turn("t", "Ana", "hi")])
        for _ in range(3):
            assert len(list(client.export("trip"))) == 1
            granted(listed, channel, "ana")


def test_questions_have_more_room_and_not_without_end(server, channel):
    with (
        withheld(channel, "Extract", "ana"),
        withheld(channel, "Answer", "ana"),
        withheld(channel, "Extract", "ana"),
    ):
        with pytest.raises(Overloaded, match="3 calls of one tenant"):
            asked(channel, "ana")
        asked(channel, "ben")
        with withheld(channel, "Extract", "dan"):
            with pytest.raises(Overloaded, match="4 calls in all"):
                asked(channel, "cyn")
            health = health_pb2_grpc.HealthStub(channel)
            assert health.Check(health_pb2.HealthCheckRequest(), timeout=WAIT_S).status


def test_every_call_on_histories_is_one():
    assert set(SCOPES) > STORE_METHODS
    others = {path.rpartition("/")[2] for path in set(SCOPES) - STORE_METHODS}
    assert others == {
        *("Extract", "ExtractStream", "Answer", "GetInfo", "ReloadRouters", "GetMetrics"),
    }
