"""Messages that do not come: their calls end, and their places are others'."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from contextlib import asynccontextmanager, contextmanager

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from budgetmem.errors import Overloaded
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceStub
from server import room
from server.arrival import Arrival
from server.doors import Patience
from server.errors import ErrorEdge
from server.room import CHECK, CallLimits, Share
from tests.server.fake_engine import running

WAIT_S = 60
SHORT_S = 0.3
SERVICE = "/budgetmem.v1.MemoryService/"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(room, "CHECKS", Share(2, 2))
    limits = CallLimits(calls=Share(2, 2))
    short = Patience(message_s=SHORT_S, check_s=SHORT_S)
    with running(calls=limits, patience=short) as started:
        yield started


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.address) as opened:
        grpc.channel_ready_future(opened).result(WAIT_S)
        yield opened


@contextmanager
def withheld(channel, path, count):
    """So many calls whose message does not come while the block lasts."""
    over = threading.Event()

    def message():
        over.wait(WAIT_S)
        yield from ()

    try:
        yield [channel.stream_unary(path).future(message()) for _ in range(count)]
    finally:
        over.set()


@pytest.mark.parametrize("method", ["Ingest", "Extract", "ExtractStream", "ExportHistory"])
def test_who_withholds_a_message_is_left(channel, method):
    with withheld(channel, f"{SERVICE}{method}", 1) as [call]:
        failure = call.exception(WAIT_S)
    assert failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert failure.details() == "the message took longer than 0.3 s"


def test_withheld_checks_keep_others_out_for_a_short_time_only(channel):
    with withheld(channel, CHECK, 2) as calls:
        codes = {call.exception(WAIT_S).code() for call in calls}
        assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert HealthStub(channel).Check(HealthCheckRequest(), timeout=WAIT_S).status


def test_a_call_without_a_message_is_told_so(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary(f"{SERVICE}Extract")(iter(()), timeout=WAIT_S)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "request: is missing"


@pytest.mark.parametrize("raw", [b"\x0a\xff\xff", b"\x0a\x02\xff\xfe"])
@pytest.mark.parametrize("path", [CHECK, f"{SERVICE}Extract", f"{SERVICE}ExportHistory"])
def test_what_is_no_message_is_refused_as_bad_input(channel, caplog, path, raw):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(path)(raw, timeout=WAIT_S)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert dict(caught.value.trailing_metadata())["budgetmem-field"] == "request"
    # Whoever sends such messages, and needs no credential for checks, does not fill the log.
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_who_has_sent_the_message_waits_as_long_as_it_takes(server, channel):
    server.pipeline.takes_s = 4 * SHORT_S
    asked, stub = pb.ExtractRequest(history="trip", query="When?"), MemoryServiceStub(channel)
    assert stub.Extract(asked, timeout=WAIT_S).memory.text
    assert list(stub.ExtractStream(asked, timeout=WAIT_S))[-1].memory.text


@pytest.mark.parametrize("streams", [False, True])
async def test_a_message_is_let_go_when_its_call_is_refused(without_collecting, streams):
    messages = []

    class Sent:
        def __init__(self, raw):
            messages.append(weakref.ref(self))

    async def refuse(request, context):
        raise Overloaded("full")

    async def refuse_stream(request, context):
        raise Overloaded("full")
        yield

    if streams:
        handler = grpc.unary_stream_rpc_method_handler(refuse_stream, request_deserializer=Sent)
    else:
        handler = grpc.unary_unary_rpc_method_handler(refuse, request_deserializer=Sent)
    async with refusing(handler) as channel:
        call = channel.unary_stream("/a/b") if streams else channel.unary_unary("/a/b")
        with pytest.raises(grpc.RpcError) as caught:
            await (anext(aiter(call(b"x"))) if streams else call(b"x"))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for _ in range(100):
            if messages[0]() is None:
                break
            await asyncio.sleep(0.01)
        assert [message() for message in messages] == [None]


@pytest.fixture
def without_collecting():
    """What is in a cycle stays."""
    gc.disable()
    yield
    gc.enable()


@asynccontextmanager
async def refusing(handler):
    """A channel to a server whose only method is `/a/b`."""
    server = grpc.aio.server(interceptors=[Arrival(WAIT_S, WAIT_S), ErrorEdge()])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a", {"b": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(0)
