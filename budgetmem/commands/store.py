"""`budgetmem store`: histories between stores, and databases that are made ready for them.

These work on the stores themselves, without a server; the others (`budgetmem histories`) ask one.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from budgetmem.commands.remote import AsJson, print_json

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Place = "a folder (SQLite; `serve` has it under DATA_DIR/histories), or postgresql://..."


@app.callback()
def store() -> None:
    """Copy histories between stores, prepare a database.

    A store is a folder (SQLite) or postgresql://USER@HOST:PORT/DATABASE. Others see what is on a
    command line: leave the password out of the URL and set PGPASSWORD, or write a ~/.pgpass.
    """


@app.command()
def copy(
    source: Annotated[str, typer.Option("--from", metavar="STORE", help=f"From where: {Place}.")],
    target: Annotated[str, typer.Option("--to", metavar="STORE", help="To where, the same.")],
    tenant: Annotated[
        str | None, typer.Option(metavar="TENANT", help="Only this tenant's histories.")
    ] = None,
    history: Annotated[
        str | None, typer.Option(metavar="HISTORY", help="Only histories of this name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy histories from one store to another as they are, and verify each.

    A history is copied whole or not at all; run it again and it goes on where it was cut off. What
    is the same in both is left alone, what differs is an error. Stop the servers that write to the
    source before. With --json an object a history, as it is done.

    \b
    budgetmem store copy --from ~/.local/share/budgetmem/histories --to postgresql://db/budgetmem
    budgetmem store copy --from postgresql://db/budgetmem --to backup --tenant acme
    """
    from budgetmem.commands.progress import progress_bar
    from budgetmem.store.copying import copy_history, histories_of
    from budgetmem.store.opening import opened

    done: Counter[str] = Counter()
    with opened(source) as here, opened(target) as there:
        chosen = histories_of(here, tenant, history)
        with progress_bar("copy", len(chosen)) as advance:
            for whose, name in chosen:
                copied = copy_history(here, there, whose, name)
                done += Counter({copied.status: 1, "turns": copied.turns, "chunks": copied.chunks})
                advance(1)
                if as_json:
                    print_json(copied)
    if not as_json:
        typer.echo(
            f"{done['copied']} histories copied, {done['present']} were there; "
            f"{done['turns']} turns and {done['chunks']} chunks compared"
        )


@app.command()
def migrate(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="postgresql://...", envvar="BUDGETMEM_STORE")
    ],
    as_json: AsJson = False,
) -> None:
    """Make the tables in a PostgreSQL database, or bring them to this version.

    `serve` does the same as it starts, if its role may. Run this as the owner where it may not.

    \b
    budgetmem store migrate postgresql://owner@db/budgetmem
    """
    from budgetmem.store.opening import migrated

    before, now = migrated(url)
    if as_json:
        print_json({"before": before, "version": now})
    else:
        typer.echo(f"store version {now}" + (f", before {before}" if before != now else ""))
