"""The MCP server: the tools over one client, on stdio or on streamable HTTP."""

from __future__ import annotations

from mcp.server import MCPServer

from budgetmem.client import AsyncClient
from budgetmem.mcp_server.tools import INSTRUCTIONS, TOOLS, Tools
from budgetmem.types import Budget
from budgetmem.version import installed_version

LOOPBACK = "127.0.0.1"


def memory_server(client: AsyncClient, ceilings: Budget | None = None) -> MCPServer[object]:
    """The server of one client. `ceilings` bound what any call may spend."""
    server: MCPServer[object] = MCPServer(
        "budgetmem",
        title="BudgetMem",
        instructions=INSTRUCTIONS,
        version=installed_version(),
        # At INFO it logs the messages of failed calls, and those may quote what was said.
        log_level="WARNING",
    )
    tools = Tools(client, ceilings or Budget())
    for name, (title, hints) in TOOLS.items():
        server.add_tool(getattr(tools, name), title=title, annotations=hints)
    return server


async def serve(client: AsyncClient, ceilings: Budget, http_port: int | None) -> None:
    """Serves on stdin and stdout until stdin ends, or on a port of this machine until stopped."""
    server = memory_server(client, ceilings)
    if http_port is None:
        await server.run_stdio_async()
    else:
        await server.run_streamable_http_async(host=LOOPBACK, port=http_port)
