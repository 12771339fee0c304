from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from mcp import Client as McpClient

from budgetmem.client import AsyncClient
from budgetmem.mcp_server.server import memory_server
from tests.server.fake_engine import running


@pytest.fixture
def server():
    with running() as started:
        yield started


@pytest.fixture
def session(server):
    """Opens a session of the official client with the tools over a client of the doors."""

    @asynccontextmanager
    async def opened(ceilings=None, address=None):
        async with (
            AsyncClient(address or server.address, timeout_s=30) as client,
            McpClient(memory_server(client, ceilings)) as mcp_client,
        ):
            yield mcp_client

    return opened
