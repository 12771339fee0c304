"""`budgetmem ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from budgetmem.commands.grouped import grouped
from budgetmem.commands.progress import progress_bar
from budgetmem.commands.remote import (
    AsJson,
    HistoryName,
    Remote,
    connect,
    print_json,
)
from budgetmem.commands.terminal import printable
from budgetmem.errors import InvalidInput

if TYPE_CHECKING:
    from budgetmem.types import Turn

Format = Literal["auto", "jsonl", "locomo", "longmemeval", "hotpotqa", "transcript"]

MARKERS: tuple[tuple[str, Format], ...] = (
    ('"haystack_', "longmemeval"),
    ('"supporting_facts"', "hotpotqa"),
    ('"dia_id"', "locomo"),
)
"""Keys that occur in one format only, near the beginning of the file."""

SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "transcript"}
SNIFFED_BYTES = 1 << 20
FEW = 10


@grouped
def ingest(
    history: HistoryName,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="What to read.")
    ],
    format_: Annotated[Format, typer.Option("--format", help="Form of the file.")] = "auto",
    select: Annotated[
        str | None, typer.Option("--select", help="Which history of a file that holds several.")
    ] = None,
    *,
    remote: Remote,
    as_json: AsJson = False,
) -> None:
    """Add the turns of a file to a history; repeating it is harmless.

    \b
    budgetmem ingest trip chat.jsonl
    budgetmem ingest conv-49 locomo10.json --select conv-49
    budgetmem ingest notes meeting.txt --format transcript
    """
    turns = read_turns(file, format_, select)
    with connect(remote) as client, progress_bar("ingest", len(turns)) as advance:
        report = client.ingest(history, turns, on_batch=lambda count, _report: advance(count))
    if as_json:
        print_json(report)
        return
    typer.echo(
        f"{history}: {report.added} turns added, {report.unchanged} unchanged; "
        f"{report.chunks} chunks made ({report.tokens} tokens embedded)"
    )


def read_turns(file: Path, format_: Format, select: str | None) -> list[Turn]:
    """The turns of the one history that is meant; a usage error where that is not clear."""
    from budgetmem.importers import IMPORTERS

    found = IMPORTERS[sniffed(file) if format_ == "auto" else format_](file, select)
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise InvalidInput(file.name, "holds no history")
    names = ", ".join(list(found)[:FEW]) + (", ..." if len(found) > FEW else "")
    raise typer.BadParameter(
        printable(f"{file.name} holds {len(found)} histories, choose one: {names}"),
        param_hint="--select",
    )


def sniffed(file: Path) -> Format:
    """The format that a file seems to be of; a usage error if it seems to be of none."""
    with file.open("rb") as stream:
        head = stream.read(SNIFFED_BYTES).decode("utf-8", "replace")
    by_marker = next((format_ for marker, format_ in MARKERS if marker in head), None)
    format_ = by_marker or SUFFIXES.get(file.suffix.lower())
    if format_ is None:
        raise typer.BadParameter(f"{file.name} is of no form that I know", param_hint="--format")
    return format_
