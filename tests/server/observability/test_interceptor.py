"""Calls as any gRPC client makes them, and what the server tells of them."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from budgetmem.errors import NotFound, Overloaded
from budgetmem.info import Limits
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceStub
from server.doors import Patience
from server.http.entrance import entrance
from server.logs import CallNames
from server.observability.calls import REQUEST_ID_KEY, current_call
from server.observability.observing import Observability
from server.room import CallLimits, Rooms, Share
from server.security.security import Security, guarded
from tests.server.fake_engine import running
from tests.server.http.house import open_house
from tests.server.observability.samples import exposed, value
from tests.server.security.test_gate import CALLERS

QUERY = pb.ExtractRequest(history="trip", query="When did Ana move?")
TURN = pb.Turn(id="1", speaker="Ana", text="hi")
SERVICE = "/budgetmem.v1.MemoryService/"
EXTRACT = f"{SERVICE}Extract"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Lines(logging.Handler):
    """Keeps the records of the access log; `wait` until there are as many as are wanted."""

    def __init__(self):
        super().__init__()
        self.addFilter(CallNames())
        self.kept = []
        self._more = threading.Condition()

    def emit(self, record):
        with self._more:
            self.kept.append(record)
            self._more.notify_all()

    def wait(self, count):
        with self._more:
            assert self._more.wait_for(lambda: len(self.kept) >= count, 20)
        return [record.fields for record in self.kept]


@pytest.fixture
def lines():
    logger, handler = logging.getLogger("access"), Lines()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture
def seen():
    return Observability()


@pytest.fixture
def server(seen):
    with running(seen=seen) as started:
        yield started


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(server.address) as channel:
        yield MemoryServiceStub(channel)


@contextmanager
def failing(code):
    with pytest.raises(grpc.RpcError) as caught:
        yield caught
    assert caught.value.code() is code


def codes(seen):
    samples = exposed(seen.registry).get("budgetmem_requests_total", {})
    return {(of["method"], of["code"]): count for of, count in _labelled(samples)}


def in_flight(seen):
    samples = exposed(seen.registry).get("budgetmem_requests_in_flight", {})
    return sum(samples.values())


def _labelled(samples):
    return [(dict(labels), count) for labels, count in samples.items()]


def test_calls_are_counted_by_method_and_status(server, stub, seen, lines):
    stub.Extract(QUERY, timeout=20)
    stub.Answer(pb.AnswerRequest(extract=QUERY), timeout=20)
    list(stub.ExtractStream(QUERY, timeout=20))
    with failing(grpc.StatusCode.INVALID_ARGUMENT):
        stub.Extract(pb.ExtractRequest(history="trip"), timeout=20)
    server.pipeline.failure = NotFound("no history 'trip'")
    with failing(grpc.StatusCode.NOT_FOUND):
        list(stub.ExtractStream(QUERY, timeout=20))
    server.pipeline.failure = ValueError("a bug")
    with failing(grpc.StatusCode.UNKNOWN):
        stub.Extract(QUERY, timeout=20)
    lines.wait(6)
    assert codes(seen) == {
        ("Extract", "OK"): 1,
        ("Extract", "INVALID_ARGUMENT"): 1,
        ("Extract", "UNKNOWN"): 1,
        ("ExtractStream", "OK"): 1,
        ("ExtractStream", "NOT_FOUND"): 1,
        ("Answer", "OK"): 1,
    }
    assert value(seen.registry, "budgetmem_request_duration_seconds_count", method="Extract") == 3


@pytest.mark.parametrize("method", ["Extract", "ExtractStream"])
def test_a_cancelled_call_is_counted_and_its_work_ends(server, stub, seen, lines, method):
    server.pipeline.takes_s = 60
    call = getattr(stub, method).future(QUERY) if method == "Extract" else stub.ExtractStream(QUERY)
    if method == "ExtractStream":
        next(call)
    else:
        assert wait_for(lambda: server.pipeline.requests)
    assert value(seen.registry, "budgetmem_requests_in_flight", method=method) == 1
    call.cancel()
    assert server.pipeline.cancelled.wait(20)
    [line] = lines.wait(1)
    assert line["code"] == "CANCELLED"
    assert codes(seen) == {(method, "CANCELLED"): 1}
    assert value(seen.registry, "budgetmem_requests_in_flight", method=method) == 0


@dataclass(frozen=True)
class Left:
    """The context of a call that its caller left with so much time remaining."""

    remaining: float | None

    def time_remaining(self):
        return self.remaining

    def set_trailing_metadata(self, metadata):
        pass


@pytest.mark.parametrize(
    ("remaining", "code"),
    [
        (None, "CANCELLED"),
        (5.0, "CANCELLED"),
        (0.02, "DEADLINE_EXCEEDED"),
        (0, "DEADLINE_EXCEEDED"),
    ],
)
@pytest.mark.parametrize("ending", [asyncio.CancelledError, GeneratorExit, grpc.aio.InternalError])
async def test_a_call_that_was_left_at_its_deadline_was_late(seen, remaining, code, ending):
    async def leave(request, context):
        raise ending

    async def handler(details):
        return grpc.stream_unary_rpc_method_handler(leave)

    details = SimpleNamespace(method="/budgetmem.v1.MemoryService/Extract", invocation_metadata=())
    watched = await seen.interceptor.intercept_service(handler, details)
    with pytest.raises(ending):
        await watched.stream_unary(QUERY, Left(remaining))
    assert codes(seen) == {("Extract", code): 1}


def test_calls_whose_message_does_not_come_are_watched_too(seen, lines):
    over = threading.Event()

    def withheld():
        over.wait(20)
        yield from ()

    with (
        running(seen=seen, patience=Patience(message_s=0.3)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        late = channel.stream_unary(EXTRACT).future(withheld())
        assert wait_for(lambda: in_flight(seen) == 1)
        assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert len(dict(late.trailing_metadata())[REQUEST_ID_KEY]) == 32
        stream = channel.stream_stream(f"{EXTRACT}Stream")(withheld())
        with failing(grpc.StatusCode.DEADLINE_EXCEEDED):
            next(stream)
        lines.wait(2)
        left = channel.stream_unary(EXTRACT).future(withheld())
        assert wait_for(lambda: in_flight(seen) == 1)
        left.cancel()
        lines.wait(3)
        over.set()
    assert codes(seen) == {
        ("Extract", "DEADLINE_EXCEEDED"): 1,
        ("ExtractStream", "DEADLINE_EXCEEDED"): 1,
        ("Extract", "CANCELLED"): 1,
    }
    assert in_flight(seen) == 0


@pytest.mark.parametrize("again", range(5))
def test_a_message_that_is_too_large_is_counted_too(seen, lines, again):
    """gRPC's core refuses it, at one moment or another of the wait for it."""
    limits = Limits(message_bytes=1000)
    with (
        running(seen=seen, limits=limits) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        with failing(grpc.StatusCode.RESOURCE_EXHAUSTED):
            channel.unary_unary(EXTRACT)(bytes(2000), timeout=20)
        lines.wait(1)
    assert codes(seen) == {("Extract", "CANCELLED"): 1}


@pytest.mark.parametrize("method", ["Extract", "ExtractStream", "Answer", "Ingest", "DeleteTurns"])
@pytest.mark.parametrize("raw", [b"\x0a\xff\xff", b"\x0a\x02\xff\xfe"])
def test_what_is_no_message_is_watched_as_bad_input(server, seen, lines, method, raw):
    with (
        grpc.insecure_channel(server.address) as channel,
        failing(grpc.StatusCode.INVALID_ARGUMENT) as caught,
    ):
        channel.unary_unary(f"{SERVICE}{method}")(raw, timeout=20)
    assert len(dict(caught.value.trailing_metadata())[REQUEST_ID_KEY]) == 32
    lines.wait(1)
    assert codes(seen) == {(method, "INVALID_ARGUMENT"): 1}


def test_what_is_not_ours_is_not_watched(server, seen):
    with grpc.insecure_channel(server.address) as channel:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
        unknown = channel.unary_unary("/budgetmem.v1.MemoryService/NoSuchMethod")
        with failing(grpc.StatusCode.UNIMPLEMENTED):
            unknown(b"", timeout=20)
    assert codes(seen) == {}


@pytest.fixture
def locked(seen):
    with running(seen=seen, security=guarded(CALLERS)) as started:
        yield started


@pytest.mark.parametrize(
    ("method", "counted"),
    [
        ("/budgetmem.v1.MemoryService/Extract", "Extract"),
        ("/budgetmem.v1.MemoryService/ExtractStream", "ExtractStream"),
        ("/budgetmem.v1.MemoryService/Extract2", "other"),
        ("/budgetmem.v1.Extract/x", "other"),
        ("/somebody.elses/Extract", "other"),
    ],
)
def test_calls_that_are_refused_are_counted_under_names_of_ours(
    locked, seen, lines, method, counted
):
    with grpc.insecure_channel(locked.address) as channel:
        call = channel.unary_unary(method)
        with failing(grpc.StatusCode.UNAUTHENTICATED) as caught:
            call(b"", timeout=20, metadata=[(REQUEST_ID_KEY, "mine-3")])
    assert dict(caught.value.trailing_metadata())[REQUEST_ID_KEY] == "mine-3"
    [line] = lines.wait(1)
    assert (line["method"], line["request_id"], line["tenant"]) == (counted, "mine-3", "")
    assert codes(seen) == {(counted, "UNAUTHENTICATED"): 1}
    assert value(seen.registry, "budgetmem_requests_in_flight", method=counted) == 0


def test_a_scope_that_is_lacking_is_counted(locked, seen, lines):
    with grpc.insecure_channel(locked.address) as channel:
        headers = [("authorization", "Bearer reader")]
        with failing(grpc.StatusCode.PERMISSION_DENIED):
            MemoryServiceStub(channel).Ingest(pb.IngestRequest(), metadata=headers, timeout=20)
    lines.wait(1)
    assert codes(seen) == {("Ingest", "PERMISSION_DENIED"): 1}


def test_what_the_http_door_refuses_is_counted_too(seen, lines):
    with open_house(seen=seen, security=guarded(CALLERS)) as house:
        assert house.http.get("/v1/info", headers={"x-request-id": "mine-4"}).status_code == 401
        granted = {"authorization": "Bearer ana"}
        assert house.http.get("/v1/info", headers=granted).status_code == 200
        assert lines.wait(2)[0]["request_id"] == "mine-4"
    assert codes(seen) == {("GetInfo", "UNAUTHENTICATED"): 1, ("GetInfo", "OK"): 1}


async def test_requests_that_find_no_place_at_the_http_door_are_counted_too(seen, lines):
    admit = seen.admitting(entrance(Security(), Rooms(CallLimits(calls=Share(1, 1)))))
    asked = ("/budgetmem.v1.MemoryService/Extract", [(REQUEST_ID_KEY, "mine-5")])
    async with admit(*asked):
        with pytest.raises(Overloaded):
            async with admit(*asked):
                pass
    assert lines.wait(1)[0]["request_id"] == "mine-5"
    with pytest.raises(NotFound):
        async with admit(*asked):
            raise NotFound("the call's own failure, which gRPC counts")
    assert codes(seen) == {("Extract", "RESOURCE_EXHAUSTED"): 1}


def test_the_callers_request_id_comes_back_and_stands_in_the_log(stub, lines):
    response, call = stub.Extract.with_call(QUERY, metadata=[(REQUEST_ID_KEY, "mine-1")])
    assert dict(call.trailing_metadata())[REQUEST_ID_KEY] == "mine-1"
    [line] = lines.wait(1)
    names = {"request_id", "trace_id", "method", "code", "milliseconds", "tenant", "cost_usd"}
    assert (line.keys(), line["request_id"]) == (names, "mine-1")
    assert (line["method"], line["code"], line["tenant"]) == ("Extract", "OK", "default")
    assert line["milliseconds"] > 0
    assert line["cost_usd"] == response.memory.receipt.total.cost_usd


def test_a_failure_tells_the_request_id_beside_its_own_details(stub, lines):
    with failing(grpc.StatusCode.INVALID_ARGUMENT) as caught:
        stub.Extract(pb.ExtractRequest(history="trip"), metadata=[(REQUEST_ID_KEY, "mine-2")])
    trailing = dict(caught.value.trailing_metadata())
    assert trailing[REQUEST_ID_KEY] == "mine-2"
    assert trailing["budgetmem-field"] == "query"


def test_a_stream_tells_its_request_id_too(stub):
    call = stub.ExtractStream(QUERY, timeout=20)
    list(call)
    assert len(dict(call.trailing_metadata())[REQUEST_ID_KEY]) == 32


def test_a_claimed_tenant_is_not_noted_before_the_doors_let_it_in(stub, lines):
    with failing(grpc.StatusCode.INVALID_ARGUMENT):
        stub.Extract(pb.ExtractRequest(history="trip"), metadata=[("budgetmem-tenant", "acme")])
    stub.Extract(QUERY, metadata=[("budgetmem-tenant", "acme")])
    found = {line["code"]: line["tenant"] for line in lines.wait(2)}
    assert found == {"INVALID_ARGUMENT": "", "OK": "acme"}


def test_every_method_notes_its_tenant(stub, lines):
    mine = {"metadata": [("budgetmem-tenant", "acme")], "timeout": 20}
    stub.Ingest(pb.IngestRequest(history="trip", turns=[TURN]), **mine)
    stub.ListHistories(pb.ListHistoriesRequest(), **mine)
    list(stub.ExportHistory(pb.ExportHistoryRequest(history="trip"), **mine))
    stub.DeleteHistory(pb.DeleteHistoryRequest(history="trip"), **mine)
    found = {line["method"]: line["tenant"] for line in lines.wait(4)}
    methods = ("Ingest", "ListHistories", "ExportHistory", "DeleteHistory")
    assert found == dict.fromkeys(methods, "acme")


def test_the_trace_id_of_the_caller_is_logged_even_where_nothing_is_traced(stub, lines):
    stub.Extract(QUERY, metadata=[("traceparent", TRACEPARENT)])
    stub.Extract(QUERY)
    stub.Extract(QUERY, metadata=[("traceparent", "nonsense")])
    found = [line["trace_id"] for line in lines.wait(3)]
    assert found == ["0af7651916cd43dd8448eb211c80319c", "", ""]


async def test_calls_side_by_side_keep_their_own_names(server, monkeypatch):
    """What is set for one call is not seen by another, nor by what comes after."""
    met: dict[str, set[str]] = {}
    inner = server.pipeline.extract

    async def extract(request, observe=None):
        for _ in range(5):
            met.setdefault(request.query, set()).add(current_call().request_id)
            await asyncio.sleep(0)
        return await inner(request, observe)

    monkeypatch.setattr(server.pipeline, "extract", extract)
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = MemoryServiceStub(channel)
        names = [f"call-{n}" for n in range(20)]
        await asyncio.gather(
            *(
                stub.Extract(
                    pb.ExtractRequest(history="trip", query=name),
                    metadata=[(REQUEST_ID_KEY, name)],
                )
                for name in names
            )
        )
    assert met == {name: {name} for name in names}
    assert current_call() is None


def wait_for(condition, patience_s=20.0):
    pause = threading.Event()
    for _ in range(int(patience_s / 0.01)):
        if condition():
            return True
        pause.wait(0.01)
    return False
