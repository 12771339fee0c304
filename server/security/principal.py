"""Who a call is made by."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum

from budgetmem.errors import Unauthenticated


class Scope(str, Enum):
    """What a credential allows. None of them includes another."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True)
class Principal:
    """A caller whose credential was verified. `name` may be logged: it tells nothing secret."""

    tenant: str
    scopes: frozenset[Scope]
    name: str


# gRPC gives every call a task of its own and a context of its own, but no place for a value.
_CALLER: ContextVar[Principal] = ContextVar("caller")


def enter(principal: Principal) -> None:
    """Makes this the caller of the running call."""
    _CALLER.set(principal)


def caller() -> Principal:
    """The caller of the running call. Raises Unauthenticated where none was verified."""
    try:
        return _CALLER.get()
    except LookupError as exc:
        raise Unauthenticated("the call came without a verified credential") from exc
