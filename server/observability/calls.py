"""The call that is being worked on: what its log lines, spans and metadata have in common."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass

REQUEST_ID_KEY = "x-request-id"
"""The metadata header by which callers name a call, and under which its name comes back."""

SANE_ID = re.compile(r"[\w.:/=+@-]{1,128}", re.ASCII)
"""What may stand in a line of log: no spaces, nothing that ends a line or colours a terminal."""

_CURRENT: ContextVar[Call | None] = ContextVar("call", default=None)


@dataclass
class Call:
    """One gRPC call. Tenant and cost are filled in where they become known.

    `tenant` stays empty until the call got past the doors: what a caller merely says it is, is not
    noted. `cost_usd` is what the receipt says.
    """

    request_id: str
    method: str
    tenant: str = ""
    cost_usd: float = 0.0


def current_call() -> Call | None:
    """The call that this task works for, if any."""
    return _CURRENT.get()


def begin(call: Call) -> None:
    """From now on this task, and what it starts, works for `call`."""
    _CURRENT.set(call)


def new_id() -> str:
    """A request id of our own."""
    return uuid.uuid4().hex


def request_id_of(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The caller's request id if it is a sane one, else an id of our own."""
    given = text_headers(metadata).get(REQUEST_ID_KEY, "")
    return given if SANE_ID.fullmatch(given) else new_id()


def text_headers(metadata: Iterable[tuple[str, str | bytes]]) -> Mapping[str, str]:
    """The headers that are no bytes; of equal ones the last."""
    return {key: value for key, value in metadata if isinstance(value, str)}
