"""The commands of docs/http.md do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from server.http.faults import HTTP_STATUS
from server.http.routes import ROUTES
from tests.server.http.house import open_house

pytestmark = pytest.mark.timeout(600)

PAGE = (Path(__file__).parents[3] / "docs" / "http.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
STRICT = "curl() { command curl --silent --show-error --fail-with-body --noproxy '*' \"$@\"; }\n"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_work_one_after_the_other():
    with open_house() as house:
        outputs = [run(command.replace("http://localhost:8080", house.url)) for command in COMMANDS]
    assert len(outputs) >= 7
    ingested, listed, memory, events, answer, turns, *gone = outputs
    assert json.loads(ingested)["added"] == 2
    assert json.loads(listed)["histories"][0]["name"] == "trip"
    assert json.loads(memory)["memory"]["text"]
    assert events.startswith("event: retrieved\n")
    assert json.loads(answer)["text"]
    assert [json.loads(line)["turn"]["speaker"] for line in turns.splitlines()] == ["Ana", "Bo"]
    assert [json.loads(each)["remaining"] for each in gone] == ["0"] * len(gone)


def run(command):
    done = subprocess.run(
        ["sh", "-e", "-c", STRICT + command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.rpc)
def test_every_route_is_in_the_table(route):
    assert f"| `{route.rpc}` | `{route.verb} {route.path}` |" in PAGE


@pytest.mark.parametrize(("status", "number"), HTTP_STATUS.items(), ids=str)
def test_every_status_is_in_the_table(status, number):
    rows = dict(re.findall(r"^\| ([0-9]{3}) \| (.*) \|$", PAGE, re.MULTILINE))
    assert f"`{status.name}`" in rows[str(number)]
