"""Connections of gRPC whose other side is gone, or never spoke: they end by themselves."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.doors import Doors, Patience
from tests.server.half_open import (
    GREETING,
    PREFACE,
    SETTINGS,
    pings_until_closed,
    seconds_until_closed,
)

SHORT = Patience(silence_s=0.4, answer_s=0.4, greeting_s=0.6)
SOON_S = 30.0
"""Far from any of gRPC's own times, on a machine that may be busy."""


@pytest.fixture
async def port():
    doors = Doors(patience=SHORT)
    yield await doors.open("127.0.0.1", 0)
    await doors.close(0)


@pytest.mark.parametrize(
    "said", [b"", PREFACE[:10], PREFACE, PREFACE + SETTINGS[:4], b"GET / HTTP/1.1\r\n"]
)
async def test_who_does_not_greet_in_time_is_left(port, said):
    assert await seconds_until_closed(port, said) < SOON_S


async def test_who_greets_and_falls_silent_is_asked_and_left(port):
    assert await seconds_until_closed(port, GREETING) < SOON_S


async def test_who_answers_stays(port):
    """Also one that has nothing to say for a long time."""
    assert await pings_until_closed(port, answers=4) >= 5


AGE_S = 0.1


@pytest.fixture
async def aging():
    doors = Doors(patience=Patience(silence_s=0.02, age_s=AGE_S))
    yield await doors.open("127.0.0.1", 0)
    await doors.close(0)


async def test_who_answers_for_ever_is_left_at_a_certain_age(aging):
    answered = asyncio.wait_for(pings_until_closed(aging, answers=10**9), SOON_S)
    assert await answered > 1


async def test_callers_do_not_notice_that_connections_age(aging):
    """Neither who watches or streams, nor who calls again and again."""
    asked = health_pb2.HealthCheckRequest()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{aging}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(asked)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        end = asyncio.get_running_loop().time() + 10 * AGE_S
        while asyncio.get_running_loop().time() < end:
            await stub.Check(asked, timeout=SOON_S)
        assert not watch.done()
