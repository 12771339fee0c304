"""`budgetmem mcp` as an MCP client starts it, and over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from pathlib import Path

import httpx
import pytest
from mcp import Client as McpClient
from mcp import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from typer.testing import CliRunner

from budgetmem import cli
from budgetmem.client import AsyncClient
from budgetmem.commands import mcp as mcp_command
from budgetmem.errors import InvalidInput
from budgetmem.mcp_server.server import HttpDoor, serve
from budgetmem.mcp_server.tools import TOOLS
from budgetmem.types import Budget
from server.security.principal import Principal, Scope
from server.security.security import guarded
from tests.server.fake_engine import running
from tests.server.security.test_gate import Known

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTATION = ROOT / "docs" / "integrations.md"
READER = Known(ana=Principal("acme", frozenset({Scope.READ}), "key 1"))
START_S = 280
TOKEN = "a-token"
KNOWN = {"Authorization": f"Bearer {TOKEN}"}

# Most of it is the start of another Python.
pytestmark = pytest.mark.timeout(300)


def command(*arguments, **environment):
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "budgetmem", *arguments],
        env=environment,
        cwd=ROOT,
    )


async def test_over_stdio_with_the_options_of_the_command_line(server, tmp_path):
    started = command(
        "mcp", "--server", server.address, "--max-cost-usd", "1e-4", "--tenant", "acme"
    )
    asked = {"history": "trip", "question": "When?"}
    with (tmp_path / "stderr").open("w+") as stderr:
        transport = stdio_client(started, errlog=stderr)
        async with McpClient(transport, read_timeout_seconds=START_S) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == set(TOOLS)
            result = await client.call_tool("extract", asked)
            server.pipeline.failure = InvalidInput("query", "is a secret")
            failed = await client.call_tool("extract", asked)
        stderr.seek(0)
        assert stderr.read() == ""
    assert result.structured_content["memory"] == "Ana booked in May."
    assert "question: is a secret" in failed.content[0].text
    assert {request.tenant for request in server.pipeline.requests} == {"acme"}
    assert server.pipeline.requests[0].budget == Budget(max_cost_usd=1e-4)


async def test_over_stdio_as_the_documentation_configures_it():
    told = json.loads(re.search(r"```json\n(.*?)```", DOCUMENTATION.read_text("utf-8"), re.S)[1])
    configured = told["mcpServers"]["budgetmem"]
    with running(security=guarded(READER)) as server:
        environment = {"BUDGETMEM_SERVER": server.address, "BUDGETMEM_API_KEY": "ana"}
        assert configured["env"].keys() == environment.keys()
        started = command(*configured["args"], **environment)
        async with McpClient(started, read_timeout_seconds=START_S) as client:
            assert not (await client.call_tool("histories", {})).is_error
            turns = [{"speaker": "Ana", "text": "hello"}]
            denied = await client.call_tool("ingest", {"history": "trip", "turns": turns})
    assert denied.is_error
    assert "does not allow this" in denied.content[0].text
    assert server.histories.kept == {}


REFUSED = {
    401: [{}, {"Authorization": "Bearer another"}, {"Authorization": "Basic dG9rZW46"}],
    421: [{**KNOWN, "Host": "evil.example"}],
    403: [{**KNOWN, "Origin": "https://evil.example"}],
}


async def test_over_http_on_this_machine_with_a_token(server):
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    async with AsyncClient(server.address) as memory:
        serving = asyncio.create_task(serve(memory, Budget(), HttpDoor(listener, TOKEN)))
        transport = streamable_http_client(url, http_client=create_mcp_http_client(KNOWN))
        async with McpClient(transport) as client:
            result = await client.call_tool("answer", {"history": "trip", "question": "When?"})
        async with httpx.AsyncClient() as web:
            refused = {
                status: [
                    (await web.post(url, headers=headers, json={})).status_code for headers in each
                ]
                for status, each in REFUSED.items()
            }
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    assert result.structured_content["answer"] == "In May."
    assert refused == {status: [status] * len(each) for status, each in REFUSED.items()}


@pytest.mark.parametrize("given", ["", "chosen"])
def test_a_token_that_was_not_given_is_made_and_told(monkeypatch, given):
    served = []

    async def serve(remote, ceilings, listener, token):
        served.append((listener.getsockname()[1], token))

    monkeypatch.setattr(mcp_command, "_serve", serve)
    runner = CliRunner(env={"BUDGETMEM_MCP_TOKEN": given})
    port = free_port()
    told = [runner.invoke(cli.app, ["mcp", "--http", str(port)]).stderr for _ in range(2)]
    (taken, first), (_, second) = served
    assert taken == port
    assert f"http://127.0.0.1:{port}/mcp\n" in told[0]
    if given:
        assert first == second == given
        assert given not in "".join(told)
    else:
        assert first != second
        assert f"Authorization: Bearer {first}\n" in told[0]


def test_without_the_package_it_says_what_to_install(monkeypatch):
    ours = [name for name in sys.modules if name.startswith("budgetmem.mcp_server.")]
    for name in ours:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mcp"]:
        monkeypatch.setitem(sys.modules, name, None)
    result = CliRunner().invoke(cli.app, ["mcp"])
    assert result.exit_code == 1
    assert "pip install 'budgetmem[mcp]'" in result.stderr


@pytest.mark.parametrize("port", ["0", "70000", "http"])
def test_a_port_must_be_one(port):
    assert CliRunner().invoke(cli.app, ["mcp", "--http", port]).exit_code == 2


def test_a_taken_port_is_told_instead_of_an_address_and_a_token():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(cli.app, ["mcp", "--http", str(port)])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: cannot listen on 127.0.0.1:{port} (")
    assert "name another port by --http" in result.stderr
    assert "Bearer" not in result.stderr


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
