"""The HTTP door's life: listen, serve, drain, stop."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc

from budgetmem.errors import ConfigError
from budgetmem.hosts import is_loopback
from budgetmem.info import Limits
from server.http.entrance import Admit, entrance
from server.http.options import HttpOptions
from server.room import Rooms
from server.security.options import TlsFiles
from server.security.security import Security

CHANNEL = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    # The name of the file would be that of the host else, and it is no name.
    ("grpc.default_authority", "localhost"),
)


@contextmanager
def socket_file(options: HttpOptions) -> Iterator[Path | None]:
    """Where the HTTP door finds the gRPC server, if it is wanted: nobody else can read the folder.

    A file and not a port of 127.0.0.1, which every user of the machine could call.
    """
    if options.port is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="budgetmem-") as folder:
        yield Path(folder) / "grpc"


@asynccontextmanager
async def http_door(
    options: HttpOptions,
    files: TlsFiles | None,
    security: Security,
    limits: Limits,
    rooms: Rooms,
    *,
    local: Path | None,
    announce: Callable[[str], None],
    watched: Callable[[Admit], Admit],
    ready: Callable[[], bool],
    connections: int,
) -> AsyncIterator[None]:
    """Answers over HTTP until the block ends, by the gRPC server that listens at `local`, whose
    `rooms` it shares, and whose health says what `ready` tells. Who is let in or refused is
    `watched`. There are so many `connections` at a time.

    Without `local` it does nothing. Raises ConfigError for an address that cannot be had, for a
    certificate that cannot work, and where the libraries are missing.
    """
    if local is None or options.port is None:
        yield
        return
    options.check_origins(authenticates=security.authenticates)
    # Imported here: a server without HTTP does not need the libraries.
    try:
        from server.http.app import Access, create_app  # noqa: PLC0415
        from server.http.endpoint import Bounds  # noqa: PLC0415
        from server.http.listening import listening  # noqa: PLC0415
        from server.http.pages import console_pages  # noqa: PLC0415
        from server.http.tls import tls_context  # noqa: PLC0415
    except ImportError as exc:
        raise ConfigError(
            f"HTTP needs Starlette and uvicorn ({exc}): pip install 'budgetmem[http]'"
        ) from exc
    tls = None if files is None else tls_context(files)
    local_only = not security.authenticates and is_loopback(options.http_host)
    access = Access(options.cors_origins, local_only)
    pages = console_pages() if options.console else ()
    async with grpc.aio.insecure_channel(f"unix:{local}", CHANNEL) as channel:
        admit = watched(entrance(security, rooms))
        app = create_app(channel, Bounds(limits), access, admit, ready, pages=pages)
        async with listening(app, options.http_host, options.port, tls, most=connections) as url:
            announce(f"http on {url}")
            yield
