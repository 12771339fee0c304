"""A browser for all tests of a module, a console for each, and Node with the console's modules."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from server.http.pages import FILES


@pytest.fixture(scope="module")
def browser():
    from tests.server.console.browser import opened_browser

    with opened_browser() as opened:
        yield opened


@pytest.fixture
def console(tmp_path):
    from tests.server.console.scripted import open_console

    with open_console(tmp_path) as opened:
        yield opened


@pytest.fixture
def page(browser, console):
    from tests.server.console.browser import visited

    with visited(browser, console.url) as shown:
        yield shown


@pytest.fixture
def node(tmp_path):
    """Runs a script beside the console's modules; gives what its `result` is in the end."""
    for name in FILES:
        (tmp_path / name).write_bytes(files("server.console").joinpath(name).read_bytes())
    shutil.copy(Path(__file__).with_name("document.js"), tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')

    def run(script, given=""):
        (tmp_path / "script.js").write_text(
            'import "./document.js";\nimport { readFileSync } from "node:fs";\n'
            'import { lines } from "./api.js";\n'
            'import { budgetOf, threeBudgets } from "./budgets.js";\n'
            'import { Run } from "./run.js";\n'
            'import { batches, turnsOf } from "./conversations.js";\n'
            'import { operatingPoint } from "./frontier.js";\n'
            'import { summary } from "./metrics.js";\n'
            'const input = readFileSync(0, "utf8");\nlet result;\n'
            'const place = document.createElement("div");\n'
            f"{script}\nconsole.log(JSON.stringify(result));\n",
            encoding="utf-8",
        )
        done = subprocess.run(
            ["node", tmp_path / "script.js"],
            input=given.encode(),
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return run
