"""uvicorn, in an event loop that is not its own."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from budgetmem.errors import ConfigError, ServerUnavailable
from budgetmem.hosts import bracketed
from server.connections import CONNECTIONS
from server.http.bounded import BoundedSocket
from server.http.faults import fault_of
from server.http.middleware import Common

GRACE_S = 2
"""For the last bytes of responses, when the server stops. Their calls have ended by then."""

HEAD_S = 10.0
"""For the head of a request, from the moment when the connection is ready for it."""


FULL = Common(
    replace(
        fault_of(ServerUnavailable("the server has no room for more connections: try again later")),
        headers={"connection": "close", "retry-after": "1"},
    ).response
)
"""Answers 503 to every request."""


class PatientProtocol(H11Protocol):
    """Closes a connection that has no request under way for `head_s` seconds, however many bytes of
    one have come: uvicorn waits for ever for the rest of a head, or of a refused body. Beyond
    `served` connections new ones are told that there are too many."""

    def __init__(self, *args: Any, head_s: float, served: int, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **options)
        self._head_s = head_s
        self._served = served
        self._giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._served:
            self.app = cast("Any", FULL)
        self._wait()

    def on_response_complete(self) -> None:
        # First: what has come already may begin the next request.
        self._wait()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._giving_up is not None:
            self._giving_up.cancel()

    def _wait(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
        self._giving_up = self.loop.call_later(self._head_s, self._give_up)

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class _Guest(uvicorn.Server):
    """Leaves signals to the process, which has more to stop than this."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listening(
    app: ASGIApp,
    host: str,
    port: int,
    tls: ssl.SSLContext | None = None,
    head_s: float = HEAD_S,
    *,
    most: int = CONNECTIONS,
) -> AsyncIterator[str]:
    """Serves the application until the block ends; gives its URL. Port 0 is any free one. The head
    of a request has `head_s` seconds to come. There are `most` connections at a time; requests on
    the last eighth of them are answered with 503, and more are closed as they come.

    Raises ConfigError if the address cannot be had.
    """
    protocol = partial(PatientProtocol, head_s=head_s, served=most - most // 8)
    config = uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", protocol),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    config.load()
    config.ssl = tls
    door, server = _bound(host, port, most), _Guest(config)
    serving = asyncio.create_task(server.serve(sockets=[door]))
    taken = door.getsockname()[1]
    try:
        yield f"{'http' if tls is None else 'https'}://{bracketed(host)}:{taken}"
    finally:
        server.should_exit = True
        await serving


def _bound(host: str, port: int, most: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host.strip("[]"), port), family=family)
    except OSError as exc:
        raise ConfigError(
            f"cannot listen on {bracketed(host)}:{port} for HTTP ({exc}): name another "
            "--http-port, or --http-host"
        ) from exc
    return BoundedSocket(bound.detach(), most)
