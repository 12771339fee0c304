from __future__ import annotations

import asyncio

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from budgetmem.errors import ConfigError
from server.observability.endpoint import metrics_endpoint

HOST = "127.0.0.1"


async def get(port):
    async with httpx.AsyncClient() as client:
        return await client.get(f"http://{HOST}:{port}/metrics")


async def test_prometheus_can_read_what_is_served():
    registry = CollectorRegistry()
    Counter("things_total", "Things.", ["kind"], registry=registry).labels("odd").inc(3)
    async with metrics_endpoint(registry, HOST, 0) as port:
        response = await get(port)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    [family] = text_string_to_metric_families(response.text)
    assert [(s.name, s.labels, s.value) for s in family.samples] == [
        ("things_total", {"kind": "odd"}, 3.0)
    ]


async def test_nobody_answers_once_the_block_has_ended():
    async with metrics_endpoint(CollectorRegistry(), HOST, 0) as port:
        pass
    with pytest.raises(httpx.ConnectError):
        await get(port)


async def test_a_taken_port_is_told_with_what_to_do():
    taken = await asyncio.start_server(lambda *_: None, HOST, 0)
    port = taken.sockets[0].getsockname()[1]
    with pytest.raises(ConfigError, match=rf"{HOST}:{port}.*--metrics-port"):
        async with metrics_endpoint(CollectorRegistry(), HOST, port):
            pass
    taken.close()
