"""Connections of HTTP are bounded: those that have come stay, and the others are told."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx
import pytest

from server.http.tls import tls_context
from tests.server.half_open import crowd
from tests.server.http.house import open_house
from tests.server.http.test_tls import trusting
from tests.server.security.test_tls import PAIR, write

pytestmark = pytest.mark.timeout(600)

MOST, SERVED = 8, 7
EXTRACT = {"url": "/v1/histories/h:extract", "json": {"query": "q"}}


@pytest.fixture
def house():
    with open_house(connections=MOST) as opened:
        yield opened


def port_of(house):
    return httpx.URL(house.url).port


def fresh(house, verify=True):
    """A client that has no connection yet."""
    return httpx.AsyncClient(base_url=house.url, verify=verify, timeout=60, trust_env=False)


async def is_served(client):
    """When those who have left are gone."""
    status = None
    while status != 200:
        await asyncio.sleep(0.01)
        with suppress(httpx.TransportError):
            status = (await client.get("/v1/info")).status_code


async def is_refused(house, context):
    """At the latest when the place of one who was just leaving is taken."""
    async with fresh(house, context) as first, fresh(house, context) as second:
        with suppress(httpx.TransportError):
            await first.get("/v1/info")
        with pytest.raises(httpx.TransportError):
            await second.get("/v1/info")


async def test_requests_on_the_last_of_the_connections_are_told_to_come_again(house):
    async with crowd(port_of(house), SERVED), fresh(house) as late:
        for _ in range(3):
            full = await late.post(**EXTRACT)
            assert (full.status_code, full.headers["retry-after"]) == (503, "1")
            assert full.json()["error"]["status"] == "UNAVAILABLE"
            assert full.headers["connection"] == "close"
            assert full.headers["x-request-id"]
    async with fresh(house) as later:
        await is_served(later)


async def test_more_connections_are_closed_and_requests_on_others_go_on(house):
    house.grpc.pipeline.takes_s = 0.5
    async with fresh(house) as early, fresh(house) as late:
        asking = asyncio.create_task(early.post(**EXTRACT))
        while not house.grpc.pipeline.requests:
            await asyncio.sleep(0.005)
        async with crowd(port_of(house), 3 * MOST):
            with pytest.raises(httpx.TransportError):
                await late.get("/v1/info")
            assert (await asking).status_code == 200
            assert (await early.get("/v1/info")).status_code == 200, "on the same connection"
        await is_served(late)


async def test_connections_that_say_nothing_in_tls_count_until_they_leave(tmp_path):
    context = trusting()
    with open_house(tls=tls_context(write(tmp_path, PAIR)), connections=MOST) as house:
        for _ in range(3):
            async with crowd(port_of(house), MOST):
                await is_refused(house, context)
            async with fresh(house, context) as later:
                await is_served(later)
