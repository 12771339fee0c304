"""gRPC statuses become the errors of `budgetmem.errors` again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import grpc

from budgetmem.errors import (
    BudgetMemError,
    DeadlineExceeded,
    InvalidInput,
    Overloaded,
    PermissionDenied,
    ServerError,
    ServerUnavailable,
    Unauthenticated,
)
from budgetmem.wire.faults import DETAILS_KEY, decode_fault

PLAIN: Mapping[grpc.StatusCode, type[BudgetMemError]] = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
}
"""Statuses without our details, as gRPC itself sends them, or a proxy before the server."""

CLOSED = "this client is closed: make another one"


@contextmanager
def translated(server: str, first_turn: int = 0) -> Iterator[None]:
    """Raises the BudgetMemError of any failed call within.

    `first_turn` is where a batch begins in the caller's own list of turns, so that a field such
    as `turns[3].text` points into that list.
    """
    try:
        yield
    except grpc.RpcError as exc:
        raise _shifted(error_of(exc, server), first_turn) from exc


def error_of(failure: grpc.RpcError, server: str) -> BudgetMemError:
    """The error that the server raised, or the nearest to what gRPC itself says."""
    call = cast(Any, failure)
    for key, payload in call.trailing_metadata() or ():
        if key == DETAILS_KEY and (error := decode_fault(payload)) is not None:
            return error
    return _error_of_status(call.code(), call.details() or "", server)


def _error_of_status(code: grpc.StatusCode, details: str, server: str) -> BudgetMemError:
    if code is grpc.StatusCode.UNAVAILABLE:
        return ServerUnavailable(f"no BudgetMem server answers at {server}: {details}")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded("the call took longer than its timeout")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
        return InvalidInput("message", f"too large for {server}: {details}")
    error = PLAIN.get(code)
    return ServerError(f"{code.name}: {details}") if error is None else error(details)


def _shifted(error: BudgetMemError, first_turn: int) -> BudgetMemError:
    if not isinstance(error, InvalidInput):
        return error
    place = re.match(r"turns\[([0-9]{1,9})\]", error.field)
    if place is None:
        return error
    field = f"turns[{int(place[1]) + first_turn}]{error.field[place.end() :]}"
    return type(error)(field, str(error).removeprefix(f"{error.field}: "))
