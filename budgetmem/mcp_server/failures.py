"""Errors of the service as tool errors, which tell a model what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mcp.server.mcpserver.exceptions import ToolError

from budgetmem.commands.failures import Hint, hint_for
from budgetmem.errors import (
    AssetError,
    BackboneError,
    BackboneUnavailable,
    BudgetMemError,
    BudgetTooSmall,
    ConfigError,
    Conflict,
    DeadlineExceeded,
    DuplicateTurn,
    HistoryFull,
    InvalidInput,
    NotFound,
    Overloaded,
    PermissionDenied,
    ServerError,
    ServerUnavailable,
    StoreDamaged,
    StoreUnavailable,
    Unauthenticated,
)

HINTS: tuple[Hint, ...] = (
    (ServerUnavailable, "starting", "try again in a minute"),
    (ServerUnavailable, "", "ask the user to start it (`budgetmem serve`) or to correct --server"),
    (ServerError, "", "do not try again: tell the user, whose server's log says more"),
    (Unauthenticated, "", "ask the user for a valid key: it goes in BUDGETMEM_API_KEY"),
    (PermissionDenied, "tenant", "ask the user to leave the tenant out: the key says it"),
    (PermissionDenied, "", "the user's key does not allow this: do not try again"),
    (DuplicateTurn, "", "leave the id out, or give this turn another one"),
    (HistoryFull, "", "go on in another history, or ask the user whether to forget this one"),
    (InvalidInput, "", "correct this field and call again"),
    (NotFound, "", "call `histories` for the names that there are, or `ingest` to begin one"),
    (BudgetTooSmall, "", "ask for `extract` instead of `answer`, or for a higher ceiling"),
    (
        BackboneUnavailable,
        "",
        'try again once, or `extract` with the tier "low": it needs no model',
    ),
    (BackboneError, "", '`extract` with the tier "low": it needs no model; and tell the user'),
    (
        StoreDamaged,
        "",
        "do not try again: ask the user for a backup, or whether to forget this one",
    ),
    (StoreUnavailable, "", "try again in a minute; then ask the user whether the database runs"),
    (DeadlineExceeded, "", "ask for a lower tier, or set max_latency_ms"),
    (Overloaded, "", "try again after {retry_after_ms:.0f} ms"),
    (Conflict, "", "somebody else writes to this history: try again"),
    (AssetError, "", "do not try again: the user's server lacks a file, or has a damaged one"),
    (ConfigError, "", "do not try again: the user's server has to be configured otherwise"),
)
"""For a model that calls tools; the first that fits counts. In braces: attributes of the error."""

ANSWERS = "extract."
"""What the paths of an AnswerRequest begin with; the tools have no such part."""

RENAMED = {"query": "question"}
"""Fields of the service that the tools call otherwise."""


@contextmanager
def told() -> Iterator[None]:
    """Raises ToolError, with what to do, for every BudgetMemError within."""
    try:
        yield
    except BudgetMemError as exc:
        hint = hint_for(exc, HINTS)
        advice = "" if hint is None else f". What to do: {hint.format(**vars(exc))}"
        raise ToolError(f"{_said(exc)}{advice}") from exc


def _said(error: BudgetMemError) -> str:
    """Its message; it names a field as the tools do."""
    if not isinstance(error, InvalidInput):
        return str(error)
    field = error.field.removeprefix(ANSWERS)
    return f"{RENAMED.get(field, field)}: {str(error).removeprefix(f'{error.field}: ')}"
