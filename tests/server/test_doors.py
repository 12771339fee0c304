"""The doors as any gRPC client sees them, without our own client."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from budgetmem.errors import ConfigError, InvalidInput
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceStub
from server.doors import ADMIN_SERVICE, SERVICE, Doors
from server.engine import Engine
from server.service import REPLY_RESERVE_S
from tests.server.fake_engine import INFO, FakeHistories, FakePipeline, FakeRouters, running


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.address) as channel:
        yield channel


def test_invalid_argument_names_the_field_for_every_kind_of_client(channel):
    request = pb.AnswerRequest(extract=pb.ExtractRequest(history="h"))
    with pytest.raises(grpc.RpcError) as caught:
        MemoryServiceStub(channel).Answer(request, timeout=10)
    call = caught.value
    assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert call.details() == "extract.query: must not be empty"
    trailing = dict(call.trailing_metadata())
    assert trailing["budgetmem-field"] == "extract.query"
    status = Status.FromString(trailing["grpc-status-details-bin"])
    bad = BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    [violation] = bad.field_violations
    assert (violation.field, violation.description) == ("extract.query", "must not be empty")


def test_a_blank_tenant_is_refused(channel):
    request = pb.ListHistoriesRequest()
    with pytest.raises(grpc.RpcError) as caught:
        MemoryServiceStub(channel).ListHistories(
            request, metadata=[("budgetmem-tenant", " ")], timeout=10
        )
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert dict(caught.value.trailing_metadata())["budgetmem-field"] == "budgetmem-tenant"


def test_a_field_beyond_ascii_still_arrives(server, channel):
    server.pipeline.failure = InvalidInput('budget.tiers["ü"]', "is bad")
    with pytest.raises(grpc.RpcError) as caught:
        MemoryServiceStub(channel).Extract(pb.ExtractRequest(history="h", query="q"), timeout=10)
    trailing = dict(caught.value.trailing_metadata())
    assert trailing["budgetmem-field"] == 'budget.tiers["\\xfc"]'


def health_of(address, service):
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return health_pb2_grpc.HealthStub(channel).Check(request, timeout=10).status


@pytest.mark.parametrize("service", ["", SERVICE, ADMIN_SERVICE])
def test_health_is_serving_once_there_is_an_engine(service):
    with running(serve=False) as server:
        assert health_of(server.address, service) == health_pb2.HealthCheckResponse.NOT_SERVING
        server.call(server.doors.serve(server.engine))
        assert health_of(server.address, service) == health_pb2.HealthCheckResponse.SERVING
        server.call(server.doors.pause())
        assert health_of(server.address, service) == health_pb2.HealthCheckResponse.NOT_SERVING
        server.call(server.doors.resume())
        assert health_of(server.address, service) == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    [response] = list(stub.ServerReflectionInfo(requests, timeout=10))
    names = {service.name for service in response.list_services_response.service}
    own = {"budgetmem.v1.MemoryService", "budgetmem.v1.AdminService"}
    assert own | {"grpc.health.v1.Health"} <= names


async def test_a_taken_port_is_a_config_error(server):
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
        await Doors().open("127.0.0.1", port)


@pytest.mark.usefixtures("ipv6")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
async def test_an_address_of_ipv6_is_listened_on(host):
    doors = Doors()
    port = await doors.open(host, 0)
    status = await asyncio.to_thread(health_of, f"[::1]:{port}", "")
    assert status == health_pb2.HealthCheckResponse.NOT_SERVING
    with pytest.raises(ConfigError, match=rf"cannot listen on \[::1\]:{port}"):
        await Doors().open(host, port)
    await doors.close(0)


async def test_a_file_that_cannot_be_listened_at_is_a_config_error(tmp_path):
    doors = Doors()
    with pytest.raises(ConfigError, match="TMPDIR"):
        await doors.open("127.0.0.1", 0, tmp_path / ("x" * 200))
    await doors.close(0)


async def test_closing_lets_a_running_call_end_and_lets_no_other_in():
    doors = Doors()
    port = await doors.open("127.0.0.1", 0)
    await doors.serve(Engine(FakeHistories(), FakePipeline(takes_s=0.3), INFO, FakeRouters()))
    request = pb.ExtractRequest(history="h", query="q")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        running_call = MemoryServiceStub(channel).ExtractStream(request)
        assert (await running_call.read()).WhichOneof("event") == "retrieved"
        closing = asyncio.create_task(doors.close(5))
        await asyncio.sleep(0.1)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await MemoryServiceStub(channel).Extract(request, timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        rest = [(await running_call.read()).WhichOneof("event") for _ in range(3)]
        await closing
    assert rest == ["module_done", "module_done", "memory"]


async def test_closing_cancels_what_outlasts_the_grace():
    pipeline, doors = FakePipeline(takes_s=60), Doors()
    port = await doors.open("127.0.0.1", 0)
    await doors.serve(Engine(FakeHistories(), pipeline, INFO, FakeRouters()))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = MemoryServiceStub(channel).ExtractStream(pb.ExtractRequest(history="h", query="q"))
        await call.read()
        await doors.close(0.1)
    assert await asyncio.to_thread(pipeline.cancelled.wait, 5)


def test_the_callers_deadline_reaches_the_pipeline_less_the_way_back(server, channel):
    stub, request = MemoryServiceStub(channel), pb.ExtractRequest(history="h", query="q")
    before = time.monotonic()
    stub.Extract(request, timeout=9)
    stub.Extract(request)
    first, second = server.pipeline.requests
    # gRPC tells less than ten seconds in hundredths, rounded up; a minute in tenths.
    assert before + 5 < first.deadline < time.monotonic() + 9.01 - REPLY_RESERVE_S
    assert second.deadline is None


def test_a_cancelled_call_stops_the_work_at_once(server, channel):
    """Within 200 ms: the best of several times counts, for the machine may be busy."""
    server.pipeline.takes_s = 60
    assert any(seconds_to_cancel(server, channel) < 0.2 for _ in range(20))


def seconds_to_cancel(server, channel):
    server.pipeline.requests.clear()
    server.pipeline.cancelled.clear()
    call = MemoryServiceStub(channel).Extract.future(pb.ExtractRequest(history="h", query="q"))
    while not server.pipeline.requests:
        time.sleep(0.005)
    begin = time.monotonic()
    call.cancel()
    assert server.pipeline.cancelled.wait(20)
    return time.monotonic() - begin
