"""Modules run as programs, from a folder that holds files of their names."""

from __future__ import annotations

import subprocess
import sys

import pytest

from budgetmem.interpreter import module_command

SHADOWS = ("budgetmem", "runpy", "typer", "json")


def run(command, folder):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def hostile(tmp_path):
    """A folder of files that end whoever imports them."""
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')\n")
    return tmp_path


def test_the_current_folder_shadows_nothing(hostile):
    assert "the wrong one" in run([sys.executable, "-m", "budgetmem", "--version"], hostile).stderr
    done = run(module_command("budgetmem", "--version"), hostile)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("budgetmem ")


def test_the_module_sees_its_arguments_and_its_exit_code_arrives(tmp_path):
    assert run(module_command("json.tool", "--sort-keys", "absent.json"), tmp_path).returncode == 2
    (tmp_path / "given.json").write_text('{"b": 1, "a": 2}')
    done = run(module_command("json.tool", "--sort-keys", "--compact", "given.json"), tmp_path)
    assert done.stdout == '{"a":2,"b":1}\n'


def test_what_the_user_put_on_the_path_stays(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("print('here', __name__)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run(module_command("mine"), None).stdout == "here __main__\n"
