"""`budgetmem mcp`."""

from __future__ import annotations

import asyncio
import secrets
import socket
from typing import Annotated

import typer

from budgetmem.commands.grouped import grouped
from budgetmem.commands.remote import Remote, connect_async
from budgetmem.errors import ConfigError
from budgetmem.hosts import LOOPBACK
from budgetmem.types import Budget


@grouped
def mcp(
    http: Annotated[
        int | None,
        typer.Option(
            "--http",
            metavar="PORT",
            min=1,
            max=65535,
            help="Speak streamable HTTP at http://127.0.0.1:PORT/mcp, not on stdin and stdout.",
        ),
    ] = None,
    http_token: Annotated[
        str,
        typer.Option(
            "--http-token",
            metavar="TOKEN",
            envvar="BUDGETMEM_MCP_TOKEN",
            show_default=False,
            help="What callers over HTTP send as `Authorization: Bearer TOKEN`. Without it one is "
            "made at each start, and printed. Others see what is on a command line: set the "
            "variable.",
        ),
    ] = "",
    max_cost_usd: Annotated[
        float | None,
        typer.Option("--max-cost-usd", min=0, help="The most in USD that a call may ask for."),
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option("--max-latency-ms", min=0, help="The longest that a call may ask for."),
    ] = None,
    *,
    remote: Remote,
) -> None:
    """Be an MCP server: tools for a model to ingest, extract, answer and forget.

    An MCP client starts it by itself; it needs the extra `mcp` (pip install 'budgetmem[mcp]').
    The ceilings hold for every call: a model may ask for less, never for more.

    \b
    budgetmem mcp
    budgetmem mcp --server memory.example.com:50051 --tls --max-cost-usd 0.0002
    budgetmem mcp --http 8765
    """
    ceilings = Budget(max_cost_usd=max_cost_usd, max_latency_ms=max_latency_ms)
    if http is None:
        asyncio.run(_serve(remote, ceilings))
        return
    token = http_token or secrets.token_urlsafe()
    # Before anything is told of it: the port may be another program's.
    with _listening(http) as listener:
        typer.echo(f"MCP at http://{LOOPBACK}:{http}/mcp", err=True)
        if not http_token:
            typer.echo(f"for those who send the header\nAuthorization: Bearer {token}", err=True)
        asyncio.run(_serve(remote, ceilings, listener, token))


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as exc:
        raise ConfigError(
            f"cannot listen on {LOOPBACK}:{port} ({exc}): name another port by --http"
        ) from exc


async def _serve(
    remote: Remote, ceilings: Budget, listener: socket.socket | None = None, token: str = ""
) -> None:
    try:
        from budgetmem.mcp_server.server import HttpDoor, serve
    except ImportError as exc:
        raise ConfigError(
            f"`budgetmem mcp` needs the package mcp, 2 or later ({exc}): "
            "pip install 'budgetmem[mcp]'"
        ) from exc
    async with connect_async(remote) as client:
        door = None if listener is None else HttpDoor(listener, token)
        await serve(client, ceilings, door)
