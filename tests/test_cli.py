from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import budgetmem
from budgetmem import cli
from budgetmem.commands.terminal import printable
from budgetmem.errors import AssetError

runner = CliRunner()


@pytest.fixture
def installed(monkeypatch):
    """Entry points of other packages, as if they were installed."""

    def install(**targets):
        found = [EntryPoint(name, target, cli.GROUP) for name, target in targets.items()]
        monkeypatch.setattr(cli, "entry_points", lambda group: found)

    return install


def greet(name: str, as_json: bool = typer.Option(False, "--json")) -> None:
    """Say hello."""
    raise AssetError(f"no file for {name}")


def lost(name: str, as_json: bool = typer.Option(False, "--json")) -> None:
    """Read a file."""
    Path(name).read_text()


def test_help_shows_every_command_and_examples():
    result = runner.invoke(cli.app, ["--help"])
    assert result.exit_code == 0
    for name in cli.COMMANDS:
        assert f"\n  {name}" in result.stdout
    assert 'budgetmem extract trip "When did Ana book?"' in result.stdout


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name):
    result = runner.invoke(cli.app, [name, "--help"])
    assert result.exit_code == 0
    assert "Not available" not in result.stdout


def test_an_unknown_command_is_a_usage_error():
    assert runner.invoke(cli.app, ["no-such-command"]).exit_code == 2


def test_commands_of_other_packages_are_mounted(installed):
    installed(greet="tests.test_cli:greet")
    assert "greet" in runner.invoke(cli.app, ["--help"]).stdout
    result = runner.invoke(cli.app, ["greet", "Ana"])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "error: no file for Ana"
    assert result.stderr.splitlines()[1].startswith("hint: ")


def test_errors_are_objects_for_programs(installed):
    installed(greet="tests.test_cli:greet")
    result = runner.invoke(cli.app, ["greet", "Ana", "--json"])
    assert result.exit_code == 1
    assert result.stdout == (
        '{"error": {"code": "ASSET_ERROR", "message": "no file for Ana", "field": null}}\n'
    )


def test_what_the_machine_refuses_is_an_error_in_one_line(installed, tmp_path):
    installed(lost="tests.test_cli:lost")
    result = runner.invoke(cli.app, ["lost", str(tmp_path / "gone"), "--json"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "No such file" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_full_disk_is_an_error_and_no_traceback(installed):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "budgetmem.cli", "assets", "list"]
        result = subprocess.run(
            command, check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode != 0
    assert "No space left" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("text", ["plain", "two\n\tlines", "naïve 東京 🙂"])
def test_text_is_printed_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize("control", ["\x1b]0;mine\x07", "\r", "\x00", "\x7f", "\x9b31m", "\b"])
def test_a_terminal_is_given_no_orders(control):
    assert printable(control)[0] == "\N{REPLACEMENT CHARACTER}"
    assert printable(printable(control)).isprintable()


def test_a_package_that_is_not_whole_spoils_only_its_own_command(installed):
    installed(broken="no_such_package.module:app")
    assert runner.invoke(cli.app, ["--help"]).exit_code == 0
    result = runner.invoke(cli.app, ["broken"])
    assert result.exit_code == 1
    assert "no_such_package" in result.stderr


def test_other_packages_cannot_take_the_name_of_an_own_command(installed):
    installed(info="tests.test_cli:greet")
    assert "Say hello" not in runner.invoke(cli.app, ["info", "--help"]).stdout


def test_help_imports_neither_grpc_nor_numpy():
    code = (
        "import sys; from typer.testing import CliRunner; from budgetmem import cli;"
        "cli.entry_points = lambda group: [];"
        "cli.COMMANDS = {k: v for k, v in cli.COMMANDS.items() if k != 'assets'};"
        "assert CliRunner().invoke(cli.app, ['--help']).exit_code == 0;"
        "print([m for m in ('grpc', 'numpy', 'google.protobuf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_there_is_one_version():
    result = runner.invoke(cli.app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"budgetmem {budgetmem.__version__}\n")
    assert budgetmem.__version__ in {version("budgetmem"), "0+source"}
