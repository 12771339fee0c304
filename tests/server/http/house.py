"""The HTTP door before the real gRPC doors, and fakes behind them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx

from budgetmem.info import Limits
from server.connections import CONNECTIONS
from server.http.app import Access, create_app
from server.http.endpoint import Bounds
from server.http.entrance import entrance
from server.http.listening import listening
from server.security.security import Security
from tests.server.fake_engine import Running, running


@dataclass
class House:
    """A running server: `http` calls it by HTTP, `grpc` leads to its fakes."""

    url: str
    http: httpx.Client
    grpc: Running


@contextmanager
def open_house(
    access=None,
    *,
    limits=None,
    tls=None,
    security=None,
    bounds=None,
    calls=None,
    head_s=10.0,
    serve=True,
    pages=(),
    seen=None,
    connections=CONNECTIONS,
) -> Iterator[House]:
    """A server on any free port, watched by `seen`.

    Its HTTP door has `bounds`, or else `limits`; there is room for `calls`, and for so many
    `connections` of HTTP.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        running(serve, security, limits, seen, Path(folder) / "grpc", calls) as server,
    ):
        stack = AsyncExitStack()
        admit = entrance(security or Security(), server.doors.rooms)

        async def start():
            channel = grpc.aio.insecure_channel(f"unix:{folder}/grpc")
            await stack.enter_async_context(channel)
            app = create_app(
                channel,
                bounds or Bounds(limits or Limits()),
                access or Access(),
                admit if seen is None else seen.admitting(admit),
                lambda: server.doors.ready,
                pages=pages,
            )
            return await stack.enter_async_context(
                listening(app, "127.0.0.1", 0, tls, head_s, most=connections)
            )

        url = server.call(start())
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            try:
                yield House(url, client, server)
            finally:
                client.close()
                server.call(stack.aclose())
