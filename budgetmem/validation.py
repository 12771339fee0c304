"""What a history accepts, checked at the door: every fault names the path of its field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from budgetmem.errors import DuplicateTurn, InvalidInput
from budgetmem.types import Turn

LIMITS: Mapping[str, int] = {
    "id": 256,
    "speaker": 256,
    "session": 256,
    "text": 1_000_000,
    "caption": 20_000,
}
"""The longest value of each field of a turn, in characters."""

REQUIRED = ("id", "speaker", "text")
MAX_QUERY_BYTES = 32 * 1024
MAX_METADATA = 64
"""Entries of a turn's metadata."""


def check_turns(turns: Sequence[Turn]) -> None:
    """Raises InvalidInput for the first unusable field, for example `turns[3].text`."""
    if not turns:
        raise InvalidInput("turns", "must not be empty")
    for index, turn in enumerate(turns):
        _check_turn(f"turns[{index}]", turn)


def _check_turn(path: str, turn: Turn) -> None:
    for name in REQUIRED:
        if not getattr(turn, name).strip():
            raise InvalidInput(f"{path}.{name}", "must not be empty")
    for name, limit in LIMITS.items():
        value = getattr(turn, name)
        if value is not None:
            _check_text(f"{path}.{name}", value, limit)
    if len(turn.metadata) > MAX_METADATA:
        raise InvalidInput(f"{path}.metadata", f"more than {MAX_METADATA} entries")
    for key, value in turn.metadata.items():
        _check_text(f"{path}.metadata", key, LIMITS["id"])
        _check_text(f"{path}.metadata[{key!r}]", value, LIMITS["caption"])


def _check_text(path: str, value: str, limit: int) -> None:
    if len(value) > limit:
        raise InvalidInput(path, f"{len(value)} characters, {limit} are the most")
    if "\0" in value:
        raise InvalidInput(path, "contains a NUL character")
    check_unicode(path, value)


def check_unicode(path: str, value: str) -> None:
    """Raises InvalidInput for a lone surrogate, which no encoding can hold."""
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInput(path, f"not valid Unicode at character {exc.start}") from exc


def without_repeats(turns: Sequence[Turn]) -> list[Turn]:
    """The turns, each id once. Raises DuplicateTurn if an id comes with different content."""
    seen: dict[str, Turn] = {}
    for index, turn in enumerate(turns):
        if seen.setdefault(turn.id, turn) != turn:
            raise DuplicateTurn(
                f"turns[{index}].id", f"{turn.id!r} comes twice with different content"
            )
    return list(seen.values())


def check_ids(field: str, ids: Iterable[str]) -> None:
    """Raises InvalidInput for a text, which is a list of ids too: one for each of its letters."""
    if isinstance(ids, str):
        raise InvalidInput(field, f"a list of ids is due, [{ids!r}] perhaps, not a text")


def check_query(query: str) -> None:
    """Raises InvalidInput for a query that is empty, not Unicode or longer than 32 KB."""
    if not query.strip():
        raise InvalidInput("query", "must not be empty")
    check_unicode("query", query)
    size = len(query.encode())
    if size > MAX_QUERY_BYTES:
        raise InvalidInput("query", f"{size} bytes, {MAX_QUERY_BYTES} are the most")


def check_positive(field: str, value: int) -> None:
    """Raises InvalidInput for a number that is not positive."""
    if value <= 0:
        raise InvalidInput(field, f"must be positive, not {value}")
