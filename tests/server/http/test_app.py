"""What the application answers by itself."""

from __future__ import annotations

import threading

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from server import room
from server.room import CHECK, Share
from tests.server.http.house import open_house

WAIT_S = 60


@pytest.fixture
def house(monkeypatch):
    monkeypatch.setattr(room, "CHECKS", Share(2, 2))
    with open_house() as opened:
        yield opened


def test_health_is_told_where_grpc_has_no_place_for_a_check(house):
    over = threading.Event()

    def message():
        over.wait(WAIT_S)
        yield from ()

    with grpc.insecure_channel(house.grpc.address) as channel:
        grpc.channel_ready_future(channel).result(WAIT_S)
        calls = [channel.stream_unary(CHECK).future(message()) for _ in range(2)]
        with pytest.raises(grpc.RpcError) as refused:
            HealthStub(channel).Check(HealthCheckRequest(), timeout=WAIT_S)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert house.http.get("/healthz").json() == {"status": "SERVING"}
        assert not any(call.done() for call in calls)
        over.set()
