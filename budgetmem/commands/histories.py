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
        [(h.history, h.turns, h.units, h.sessions, _day(h.first), _day(h.last)) for h in found],
    )


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
    history: HistoryName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    *,
    remote: Remote,
    as_json: AsJson = False,
) -> None:
    """Delete a history and all that was made from it, and print the proof."""
    if not yes:
        whose = f" of tenant {remote.tenant!r}" if remote.tenant else ""
        typer.confirm(f"Delete the history {history!r}{whose}?", abort=True, err=True)
    with connect(remote) as client:
        proof = client.delete(history)
    if as_json:
        print_json(proof)
        return
    typer.echo(
        f"deleted {proof.turns} turns, {proof.chunks} chunks and {proof.vectors} vectors; "
        f"a scan found {proof.remaining} left"
    )


def _day(time: datetime | None) -> str:
    return "" if time is None else time.date().isoformat()
