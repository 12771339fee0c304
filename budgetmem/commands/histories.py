"""`budgetmem histories`, `export` and `delete`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from budgetmem.commands.grouped import grouped
from budgetmem.commands.remote import (
    AsJson,
    HistoryName,
    Remote,
    connect,
    print_json,
)
from budgetmem.commands.terminal import printable


@grouped
def histories(
    remote: Remote,
    as_json: AsJson = False,
) -> None:
    """List the histories of a tenant."""
    with connect(remote) as client:
        found = client.histories()
    if as_json:
        print_json(found)
        return
    from budgetmem.commands.tables import print_rows

    print_rows(
        ("history", "turns", "chunks", "sessions", "from", "to"),
        [
            (h.history, h.turns, h.units, h.sessions, _day(h.first), _day(h.last))
            for h in found
            if not h.damaged
        ],
    )
    for history in found:
        if history.damaged:
            typer.echo(f"damaged, restore or delete it: {printable(history.history)}", err=True)


@grouped
def export(
    history: HistoryName,
    remote: Remote,
    as_json: AsJson = False,
) -> None:
    """Print every turn of a history, one JSON object a line, as `ingest` reads it.

    \b
    budgetmem export trip > trip.jsonl
    """
    with connect(remote) as client:
        for turn in client.export(history):
            print_json(turn)


@grouped
def delete(
    history: Annotated[
        str | None, typer.Argument(metavar="HISTORY", help="Name of the history.")
    ] = None,
    turn: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Only this turn of the history; may be repeated."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every history of the tenant, instead of one.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    *,
    remote: Remote,
    as_json: AsJson = False,
) -> None:
    """Delete a history, some of its turns, or all histories of a tenant, and print the proof.

    \b
    budgetmem delete trip
    budgetmem delete trip --turn t17 --turn t18
    budgetmem delete --all --tenant ana
    """
    if everything == (history is not None) or (turn and history is None):
        raise typer.BadParameter("name a history, or --all for every one of them")
    what = f"{len(turn)} turns of " if turn else ""
    whom = "every history" if everything else f"{what}the history {history!r}"
    if not yes:
        whose = f" of tenant {remote.tenant!r}" if remote.tenant else ""
        typer.confirm(f"Delete {whom}{whose}?", abort=True, err=True)
    with connect(remote) as client:
        if history is None:
            proof = client.delete_tenant()
        elif turn:
            proof = client.delete_turns(history, turn)
        else:
            proof = client.delete(history)
    if as_json:
        print_json(proof)
        return
    typer.echo(
        f"deleted {proof.turns} turns, {proof.chunks} chunks and {proof.vectors} vectors; "
        f"a scan found {proof.remaining} left"
        + (f" (record {proof.record})" if proof.record else "")
    )


def _day(time: datetime | None) -> str:
    return "" if time is None else time.date().isoformat()
