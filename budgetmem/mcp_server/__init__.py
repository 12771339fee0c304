"""An MCP server over the gRPC client: `budgetmem mcp`. Needs the extra `mcp`."""
