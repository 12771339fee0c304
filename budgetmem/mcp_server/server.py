"""The MCP server: the tools over one client, on stdio or on streamable HTTP."""

from __future__ import annotations

import hmac
import socket
from dataclasses import dataclass, field

import uvicorn
from mcp.server import MCPServer
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl

from budgetmem.client import AsyncClient
from budgetmem.hosts import LOOPBACK
from budgetmem.mcp_server.tools import INSTRUCTIONS, TOOLS, Tools
from budgetmem.types import Budget
from budgetmem.version import installed_version

AUTH = AuthSettings(issuer_url=AnyHttpUrl(f"http://{LOOPBACK}"), resource_server_url=None)
"""Nobody issues tokens to those who ask: the one that there is was told to its user."""


@dataclass(frozen=True)
class HttpDoor:
    """What listens on a port of this machine, which others on it reach too, and the token that
    they lack."""

    listener: socket.socket
    token: str = field(repr=False)


@dataclass(frozen=True)
class OneToken:
    """The verifier of a server that has a single token."""

    token: str = field(repr=False)

    async def verify_token(self, token: str) -> AccessToken | None:
        """See `mcp.server.auth.provider.TokenVerifier`."""
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return None
        return AccessToken(token=token, client_id="user", scopes=[])


def memory_server(
    client: AsyncClient, ceilings: Budget | None = None, token: str | None = None
) -> MCPServer[object]:
    """The server of one client. `ceilings` bound what any call may spend. Over HTTP those are
    served who send the `token`; without one, all."""
    server: MCPServer[object] = MCPServer(
        "budgetmem",
        title="BudgetMem",
        instructions=INSTRUCTIONS,
        version=installed_version(),
        token_verifier=None if token is None else OneToken(token),
        auth=None if token is None else AUTH,
        # At INFO it logs the messages of failed calls, and those may quote what was said.
        log_level="WARNING",
    )
    tools = Tools(client, ceilings or Budget())
    for name, (title, hints) in TOOLS.items():
        server.add_tool(getattr(tools, name), title=title, annotations=hints)
    return server


async def serve(client: AsyncClient, ceilings: Budget, door: HttpDoor | None) -> None:
    """Serves on stdin and stdout until stdin ends, or on a port of this machine until stopped."""
    if door is None:
        await memory_server(client, ceilings).run_stdio_async()
    else:
        server = memory_server(client, ceilings, door.token)
        # By the host it knows which `Host` and `Origin` are of this machine.
        app = server.streamable_http_app(host=LOOPBACK)
        config = uvicorn.Config(app, log_level=server.settings.log_level.lower())
        await uvicorn.Server(config).serve(sockets=[door.listener])
