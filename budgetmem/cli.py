"""The `budgetmem` command.

A command is a row of `COMMANDS`, or an entry point of the group `budgetmem.commands`; either
names a typer app or a function. Nothing of a command is imported before it is asked for, so that
start-up stays fast.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup

from budgetmem.commands.failures import EXIT_ERROR, exit_code, report
from budgetmem.errors import BudgetMemError, ConfigError

GROUP = "budgetmem.commands"
COMMANDS: Mapping[str, str] = {
    "ingest": "budgetmem.commands.ingest:ingest",
    "extract": "budgetmem.commands.query:extract",
    "answer": "budgetmem.commands.query:answer",
    "histories": "budgetmem.commands.histories:histories",
    "export": "budgetmem.commands.histories:export",
    "delete": "budgetmem.commands.histories:delete",
    "store": "budgetmem.commands.store:app",
    "info": "budgetmem.commands.info:info",
    "assets": "budgetmem.commands.assets:app",
    "router": "budgetmem.commands.router:app",
    "mcp": "budgetmem.commands.mcp:mcp",
}


def known_commands() -> dict[str, EntryPoint]:
    """Every command by name: the own ones first, then those of installed packages."""
    own = [EntryPoint(name, target, GROUP) for name, target in COMMANDS.items()]
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return {entry.name: entry for entry in [*found, *own]}


# typer bundles a click of its own under a private name, so its classes have no public types.
Command = Any
Context = Any


class Commands(TyperGroup):
    """Loads commands when they are named; reports their errors, and the machine's, at one edge."""

    def list_commands(self, ctx: Context) -> list[str]:
        known = known_commands()
        return [*COMMANDS, *(name for name in known if name not in COMMANDS)]

    def get_command(self, ctx: Context, cmd_name: str) -> Command:
        entry = known_commands().get(cmd_name)
        return None if entry is None else _command_of(entry)

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        ctx.meta[GROUP] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Context) -> object:
        try:
            return super().invoke(ctx)
        except BudgetMemError as exc:
            report(exc, as_json=ctx.meta[GROUP])
            raise typer.Exit(exit_code(exc)) from exc
        except OSError as exc:
            if exc.errno == errno.EPIPE:
                raise  # click's own: whoever read the output has had enough
            # Not on stdout, whatever --json says: it may be what cannot be written.
            report(ConfigError(f"this machine refuses: {exc}"), as_json=False)
            raise typer.Exit(EXIT_ERROR) from exc


def _command_of(entry: EntryPoint) -> Command:
    try:
        target = entry.load()
    except ImportError as exc:
        target = _refusal(entry.name, exc)
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(add_completion=False, rich_markup_mode=None)
        target.command(entry.name)(function)
    command = typer.main.get_command(target)
    command.name = entry.name
    return command


def _refusal(name: str, cause: ImportError) -> Callable[[], None]:
    """Stands in for a command whose package is not whole, so that the others still work."""

    def refuse() -> None:
        raise ConfigError(f"`budgetmem {name}` cannot be loaded: {cause}") from cause

    refuse.__doc__ = f"Not available: {cause}"
    return refuse


app = typer.Typer(
    cls=Commands, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from budgetmem.version import installed_version

        typer.echo(f"budgetmem {installed_version()}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", is_eager=True, callback=_show_version, help="Print the version."
    ),
) -> None:
    """Agent memory, extracted at query time, for exactly the budget you grant.

    \b
    budgetmem serve --profile small              start a server (downloads: budgetmem assets)
    budgetmem ingest trip chat.jsonl             add a conversation
    budgetmem extract trip "When did Ana book?"  the memory for a question, and what it cost
    budgetmem answer trip "When did Ana book?" --max-cost-usd 0.00002
    """


def main() -> None:
    """Runs the command line; exits with 0, 1 (error), 2 (usage) or 3 (no server answers)."""
    app()


if __name__ == "__main__":
    main()
