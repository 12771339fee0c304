"""Health as load balancers see it, those that ask and those that watch."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from server.doors import SERVICE, Doors
from server.health import Health

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


@pytest.fixture
async def doors():
    doors = Doors()
    yield doors
    await doors.close(0)


@pytest.fixture
async def stub(doors):
    port = await doors.open("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield HealthStub(channel)


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_who_watches_is_told_what_is_and_what_changes(doors, stub, service):
    await doors.resume()
    watch = stub.Watch(HealthCheckRequest(service=service), timeout=60)
    assert (await watch.read()).status == SERVING
    await doors.pause()
    assert (await watch.read()).status == NOT_SERVING
    await doors.resume()
    assert (await watch.read()).status == SERVING


async def test_a_service_that_is_not_there(stub):
    request = HealthCheckRequest(service="budgetmem.v1.Other")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(request, timeout=60)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    told = await stub.Watch(request, timeout=60).read()
    assert told.status == HealthCheckResponse.SERVICE_UNKNOWN


async def test_a_watch_does_not_delay_the_end_and_is_told_of_it(doors, stub):
    await doors.resume()
    watch = stub.Watch(HealthCheckRequest(), timeout=60)
    await watch.read()
    begin = time.monotonic()
    await doors.close(50)
    assert time.monotonic() - begin < 20
    assert (await watch.read()).status == NOT_SERVING
    assert await watch.read() is grpc.aio.EOF


async def test_who_watches_and_does_not_read_holds_up_nobody():
    health = Health([""])
    stalled, reading = (health.Watch(HealthCheckRequest(), None) for _ in range(2))
    for watch in (stalled, reading):
        assert (await anext(watch)).status == NOT_SERVING
    waiting = asyncio.ensure_future(anext(reading))
    await asyncio.sleep(0)
    health.tell(ready=True)
    assert (await waiting).status == SERVING
    health.close()
    # What it missed meanwhile it is not told: where it has come back to, nothing has changed.
    assert [each async for each in stalled] == []


def test_what_is_closed_stays_closed():
    health = Health([""])
    health.close()
    health.tell(ready=True)
    assert not health.ready
