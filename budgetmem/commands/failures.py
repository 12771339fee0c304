"""How an error looks on the command line, and the exit code it gives."""

from __future__ import annotations

import json
from collections.abc import Iterable

import typer

from budgetmem.commands.terminal import printable
from budgetmem.errors import (
    AssetError,
    BackboneUnavailable,
    BudgetMemError,
    BudgetTooSmall,
    Conflict,
    DeadlineExceeded,
    HistoryFull,
    InvalidInput,
    NotFound,
    Overloaded,
    PermissionDenied,
    ServerUnavailable,
    StoreDamaged,
    StoreUnavailable,
    Unauthenticated,
)

EXIT_ERROR = 1
EXIT_NO_SERVER = 3

Hint = tuple[type[BudgetMemError], str, str]
"""Error, a word that its message must hold, and what to do."""

HINTS: tuple[Hint, ...] = (
    (ServerUnavailable, "starting", "wait until it says `ready`"),
    (ServerUnavailable, "", "start one by `budgetmem serve`, or name another by --server"),
    (Unauthenticated, "", "give a key by --api-key, or by the variable BUDGETMEM_API_KEY"),
    (PermissionDenied, "tenant", "leave --tenant out: the credential says whose histories"),
    (PermissionDenied, "", "whoever runs the server can make a key with the scope"),
    (HistoryFull, "", "go on in another history, or delete this one"),
    (NotFound, "history", "`budgetmem histories` lists what there is"),
    (AssetError, "", "`budgetmem assets pull PROFILE` fetches what a profile needs"),
    (BudgetTooSmall, "", "raise the ceiling, or leave it out"),
    (BackboneUnavailable, "", "a model server is away: try again, or look at the server's log"),
    (StoreDamaged, "postgresql://", "the database is its operator's to mend: a retry is no use"),
    (StoreDamaged, "", "`budgetmem delete` removes it all the same; the others are not concerned"),
    (StoreUnavailable, "postgresql://", "try again, or look whether the database runs"),
    (DeadlineExceeded, "", "give it more time by --timeout, or cheaper tiers"),
    (Overloaded, "", "the server is busy: try again later"),
    (Conflict, "not copied", "delete it there, or wait until nobody writes; then run it again"),
    (Conflict, "", "somebody else writes to this history: try again"),
)
"""For who types commands; the first that fits counts."""


def exit_code(error: BudgetMemError) -> int:
    """3 where no server answers, else 1."""
    return EXIT_NO_SERVER if isinstance(error, ServerUnavailable) else EXIT_ERROR


def hint_for(error: BudgetMemError, hints: Iterable[Hint] = HINTS) -> str | None:
    """What the user may do about it, if there is something to say."""
    fitting = (hint for cls, word, hint in hints if isinstance(error, cls) and word in str(error))
    return next(fitting, None)


def report(error: BudgetMemError, *, as_json: bool) -> None:
    """One line and a hint to stderr, or an object on stdout for programs."""
    if as_json:
        from budgetmem.wire.faults import reason_of

        field = error.field if isinstance(error, InvalidInput) else None
        fault = {"code": reason_of(type(error)), "message": str(error), "field": field}
        typer.echo(json.dumps({"error": fault}))
        return
    typer.echo(f"error: {printable(str(error))}", err=True)
    if hint := hint_for(error):
        typer.echo(f"hint: {hint}", err=True)
