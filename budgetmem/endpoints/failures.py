"""Failures of endpoints as BudgetMem's errors: which may pass, and what may be told of them."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from budgetmem.errors import UNREADABLE, BackboneError, BackboneUnavailable
from budgetmem.text import one_line

PASSING = frozenset({408, 409, 425, 429})
"""Statuses after which the same request may succeed, besides those from 500 on."""

ADVICE: Mapping[int, str] = {
    401: "check the key in the variable that the profile's api_key_env names",
    403: "check what the key in the variable that the profile's api_key_env names is allowed",
    404: "check the profile's base_url and model",
    422: "it may not know a field of the request: see docs/backbones.md",
    400: "it may not take a field of the request: see docs/backbones.md",
}

LONGEST = 200
QUOTED = 16
"""So many characters in a row that the prompt has too are a quotation of it."""


@dataclass(frozen=True)
class Telling:
    """What errors of a call to `server` may say: nothing of the `key` and of the `prompt`.

    Servers quote what they refuse, and errors are logged.
    """

    server: str
    key: str = field(repr=False)
    prompt: str = field(repr=False)

    def failed_status(
        self,
        status: int,
        headers: Mapping[str, str],
        body: str,
        now: Callable[[], float] = time.time,
    ) -> BackboneError:
        """The error for a reply that is none."""
        said = self.told(body)
        what = f"{self.server} answered {status} {_phrase(status)}" + (f": {said}" if said else "")
        if status in PASSING or status >= 500:
            # From 500 on it may be a gateway that says so, with the model at work behind it.
            return BackboneUnavailable(what, retry_after_s(headers, now), reached=status >= 500)
        advice = ADVICE.get(status)
        return BackboneError(f"{what} ({advice})" if advice else what)

    def failed_midway(self, error: object) -> BackboneUnavailable:
        """The error for an `error` within a stream: the server had begun, so it is its own."""
        said = self.told(json.dumps({"error": error})) or "it does not say why"
        return BackboneUnavailable(f"{self.server} failed in the middle of a reply: {said}")

    def told(self, body: str) -> str:
        """The message of a server's error, on one line; empty if there is none that may be told."""
        message = one_line(_message(body))
        keeps_key = not self.key or self.key not in message
        told = message[:LONGEST]
        return told if keeps_key and not _quotes(told, one_line(self.prompt)) else ""


@contextlib.contextmanager
def reading(server: str) -> Iterator[None]:
    """Around the reading of a reply. Raises BackboneError for what does not fit in the block; it
    quotes nothing."""
    try:
        yield
    except UNREADABLE as exc:
        raise BackboneError(f"{server} sent what cannot be read ({type(exc).__name__})") from exc


def retry_after_s(headers: Mapping[str, str], now: Callable[[], float]) -> float | None:
    """What the server asks to wait, in seconds; None if it does not, or nonsense."""
    value = headers.get("retry-after", "").strip()
    with contextlib.suppress(ValueError):
        seconds = float(value)
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    # Dates with numbers that fit into no date overflow.
    with contextlib.suppress(ValueError, OverflowError):
        return max(parsedate_to_datetime(value).timestamp() - now(), 0.0)
    return None


def _message(body: str) -> str:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = content.get("error", content) if isinstance(content, Mapping) else content
    message = error.get("message") if isinstance(error, Mapping) else error
    return message if isinstance(message, str) else ""


def _quotes(message: str, prompt: str) -> bool:
    starts = range(len(message) - QUOTED + 1)
    return any(message[at : at + QUOTED] in prompt for at in starts)


def _phrase(status: int) -> str:
    with contextlib.suppress(ValueError):
        return HTTPStatus(status).phrase
    return "an unknown status"
