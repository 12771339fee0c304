"""`budgetmem store`: histories between stores or made anew, databases that are made ready for them.

These work on the stores themselves, without a server; the others (`budgetmem histories`) ask one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from budgetmem.commands.remote import AsJson, print_json
from budgetmem.errors import Conflict, StoreDamaged

if TYPE_CHECKING:
    from budgetmem.history import Histories
    from budgetmem.reindexing import ReindexedHistory
    from budgetmem.store.copying import CopiedHistory

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Place = "a folder (SQLite; `serve` has it under DATA_DIR/histories), or postgresql://..."


@app.callback()
def store() -> None:
    """Copy histories between stores, make them anew, prepare a database.

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
    is the same in both is left alone. What differs, or is damaged, stays as it is: the others are
    copied, it is named, and the exit code is 1. Stop the servers that write to the source before.
    With --json an object a history, as it is done.

    \b
    budgetmem store copy --from ~/.local/share/budgetmem/histories --to postgresql://db/budgetmem
    budgetmem store copy --from postgresql://db/budgetmem --to backup --tenant acme
    """
    from budgetmem.commands.progress import progress_bar
    from budgetmem.store.copying import copy_history, histories_of
    from budgetmem.store.opening import opened

    made = []
    with opened(source) as here, opened(target) as there:
        chosen = histories_of(here, tenant, [history] if history else ())
        with progress_bar("copy", len(chosen)) as advance:
            for whose, name in chosen:
                made.append(copy_history(here, there, whose, name))
                advance(1)
                if as_json:
                    print_json(made[-1])
    if not as_json:
        done = Counter(each.status for each in made)
        typer.echo(
            f"{done['copied']} histories copied, {done['present']} were there; "
            f"{sum(each.turns for each in made)} turns and "
            f"{sum(each.chunks for each in made)} chunks compared"
        )
    if left := [each for each in made if each.status in _LEFT]:
        raise _not_copied(left)


_LEFT = {
    "damaged": "its file is damaged",
    "conflict": "the target has another one of that name, or somebody writes to it",
}
"""Why a history was not copied, by its status."""


def _not_copied(left: Sequence[CopiedHistory]) -> StoreDamaged | Conflict:
    damaged = any(each.status == "damaged" for each in left)
    named = "; ".join(
        f"{each.history!r} of tenant {each.tenant!r} ({_LEFT[each.status]})" for each in left
    )
    return (StoreDamaged if damaged else Conflict)(f"not copied: {named}")


@app.command()
def reindex(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="HISTORY", help="Names of histories.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every one, instead of some.")] = False,
    tenant: Annotated[
        str | None, typer.Option(metavar="TENANT", help="Only this tenant's histories.")
    ] = None,
    profile: Annotated[
        str, typer.Option(help="Whose encoder: a bundled profile or a path ending in .toml.")
    ] = "small",
    *,
    where: Annotated[
        str,
        typer.Option("--store", metavar="STORE", envvar="BUDGETMEM_STORE", help=f"Which: {Place}"),
    ],
    as_json: AsJson = False,
) -> None:
    """Make the chunks and vectors of histories anew, as a profile makes them.

    For histories that a server refuses since another encoder or chunking made them. The turns stay
    as they are, and servers may go on: each history is the old one or the new one, never both. What
    is made so already is left alone, so run it again where it was cut off. It embeds in this
    process: `budgetmem assets pull PROFILE` fetches the encoder, the extra `embedded` runs it. With
    --json an object a history, as it is done.

    \b
    budgetmem store reindex --all --store ~/.local/share/budgetmem/histories --profile small
    budgetmem store reindex trip home --tenant acme --store postgresql://db/budgetmem
    """
    if everything == bool(names):
        raise typer.BadParameter("name histories, or --all for every one of them")
    from budgetmem.config import load_profile
    from budgetmem.history import Histories
    from budgetmem.local_encoder import local_encoder
    from budgetmem.store.copying import histories_of
    from budgetmem.store.opening import opened

    chosen_profile = load_profile(profile)
    with opened(where) as store:
        chosen = histories_of(store, tenant, names or ())
        encoder = local_encoder(chosen_profile.encoder)
        histories = Histories(store, encoder, chosen_profile.retrieval)
        made = asyncio.run(
            _reindexed(histories, chosen, print_json if as_json else lambda each: None)
        )
    done = Counter(each.status for each in made)
    if not as_json:
        typer.echo(
            f"{done['reindexed']} histories made anew, {done['present']} were so already; "
            f"{sum(each.chunks for each in made)} chunks made "
            f"({sum(each.tokens for each in made)} tokens embedded)"
        )
    if done["damaged"]:
        damaged = ", ".join(each.history for each in made if each.status == "damaged")
        raise StoreDamaged(f"left as they are, since their files are damaged: {damaged}")


async def _reindexed(
    histories: Histories,
    chosen: Sequence[tuple[str, str]],
    tell: Callable[[ReindexedHistory], None],
) -> list[ReindexedHistory]:
    from budgetmem.commands.progress import progress_bar
    from budgetmem.reindexing import reindex_history

    made = []
    with progress_bar("reindex", len(chosen)) as advance:
        for tenant, name in chosen:
            made.append(await reindex_history(histories, tenant, name))
            advance(1)
            tell(made[-1])
    return made


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
