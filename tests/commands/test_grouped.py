"""Options that come from a dataclass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from budgetmem.commands.grouped import grouped


@dataclass(frozen=True)
class Group:
    where: Annotated[str, typer.Option("--where", envvar="GROUPED_WHERE", help="A place.")] = "here"
    loud: Annotated[bool, typer.Option("--loud")] = False


@dataclass(frozen=True)
class Other:
    count: Annotated[int, typer.Option(min=1)] = 3


@grouped
def greet(
    name: Annotated[str, typer.Argument()],
    times: Annotated[int, typer.Option("--times")] = 1,
    *,
    group: Group,
    other: Other,
) -> None:
    """Say hello."""
    typer.echo(f"{name} {times} {group} {other}")


def run(*arguments, **environment):
    app = typer.Typer()
    app.command()(greet)
    return CliRunner(env=environment).invoke(app, list(arguments))


def test_defaults():
    assert run("Ana").stdout == f"Ana 1 {Group()} {Other()}\n"


def test_every_option_reaches_its_group():
    result = run("Ana", "--times", "2", "--where", "there", "--loud", "--count", "5")
    assert result.stdout == f"Ana 2 {Group('there', True)} {Other(5)}\n"
    assert run("Ana", GROUPED_WHERE="env").stdout == f"Ana 1 {Group('env')} {Other()}\n"


def test_bounds_and_help_are_the_groups():
    assert run("Ana", "--count", "0").exit_code == 2
    shown = run("--help").stdout
    assert "Say hello." in shown
    assert "A place." in shown
    assert "--group" not in shown
