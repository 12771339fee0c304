"""uvicorn, in an event loop that is not its own."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from budgetmem.errors import ConfigError

GRACE_S = 2
"""For the last bytes of responses, when the server stops. Their calls have ended by then."""


class _Guest(uvicorn.Server):
    """Leaves signals to the process, which has more to stop than this."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listening(
    app: ASGIApp, host: str, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serves the application until the block ends; gives its URL. Port 0 is any free one.

    Raises ConfigError if the address cannot be had.
    """
    config = uvicorn.Config(
        app,
        http="h11",
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
    door, server = _bound(host, port), _Guest(config)
    serving = asyncio.create_task(server.serve(sockets=[door]))
    taken = door.getsockname()[1]
    try:
        yield f"{'http' if tls is None else 'https'}://{_bracketed(host)}:{taken}"
    finally:
        server.should_exit = True
        await serving


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family)
    except OSError as exc:
        raise ConfigError(
            f"cannot listen on {host}:{port} for HTTP ({exc}): name another --http-port, or "
            "--http-host"
        ) from exc


def _bracketed(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host
