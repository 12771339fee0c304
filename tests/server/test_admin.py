"""AdminService as our own client and any gRPC client see it."""

from __future__ import annotations

import grpc
import pytest

from budgetmem.client import AsyncClient, Client
from budgetmem.errors import ConfigError, InvalidInput, ServerUnavailable
from budgetmem.info import CostWeights, RouterVersion
from budgetmem.proto.budgetmem.v1 import admin_pb2 as pb
from budgetmem.proto.budgetmem.v1.admin_pb2_grpc import AdminServiceStub
from tests.server.fake_engine import FRONTIER, SAMPLES, running


@pytest.fixture
def client(server):
    with Client(server.address, timeout_s=10) as client:
        yield client


def test_a_reload_tells_the_versions_and_info_shows_them_at_once(server, client):
    assert client.info().routers == {"capacity": "fixed-mid"}
    assert client.reload_routers("capacity") == (
        RouterVersion("capacity", "fixed-mid", "capacity-00000001"),
    )
    assert client.info().routers == {"capacity": "capacity-00000001"}
    assert client.info().cost_weights == {"capacity": CostWeights(0.0, 0.9)}
    assert client.info().frontiers == {"capacity": FRONTIER}
    client.reload_routers()
    assert server.routers.asked == ["capacity", ""]


async def test_the_asyncio_client_reloads_too(server):
    async with AsyncClient(server.address, timeout_s=10) as client:
        [router] = await client.reload_routers("capacity")
        assert router.version == (await client.info()).routers["capacity"]


async def test_metrics_are_told_to_both_clients(server, client):
    assert client.metrics() == SAMPLES
    async with AsyncClient(server.address, timeout_s=10) as other:
        assert await other.metrics() == SAMPLES


def test_a_router_that_cannot_serve_is_a_failed_precondition_that_says_why(server, client):
    server.routers.failure = ConfigError("routers/capacity: router.onnx is cut off")
    with pytest.raises(ConfigError, match=r"^routers/capacity: router.onnx is cut off$"):
        client.reload_routers()
    with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError) as caught:
        AdminServiceStub(channel).ReloadRouters(pb.ReloadRoutersRequest(), timeout=10)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert client.info().routers == {"capacity": "fixed-mid"}


def test_an_unknown_strategy_is_refused_by_field(server, client):
    with pytest.raises(InvalidInput, match="'best' is not one of implementation") as caught:
        client.reload_routers("best")
    assert caught.value.field == "strategy"
    with pytest.raises(InvalidInput, match="cannot be sent"):
        client.reload_routers("half \ud83d a face")
    assert server.routers.asked == []


def test_a_starting_server_says_so():
    with (
        running(serve=False) as server,
        Client(server.address, timeout_s=10) as client,
        pytest.raises(ServerUnavailable, match="starting"),
    ):
        client.reload_routers()
