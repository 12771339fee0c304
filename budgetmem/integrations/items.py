"""Items of a key-value store as turns of a history, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any, cast

from budgetmem.errors import InvalidInput
from budgetmem.types import Turn

TEXT = "text"
SPEAKER = "speaker"
REST = "budgetmem.item"
"""The label of a turn that holds, as JSON, the fields of an item beside its text; null where the
text is the JSON of all of them."""

DEFAULT_SPEAKER = "memory"

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": eq,
    "$ne": ne,
    "$gt": gt,
    "$gte": ge,
    "$lt": lt,
    "$lte": le,
}
EXACT = ("$eq", "$ne")
"""For these operators the text of a number is none."""


def turn_of(key: str, value: Mapping[str, Any], time: datetime) -> Turn:
    """The item as a turn: its id is the key.

    What is searched is the field `text`, or the value as JSON if it has none. A field `speaker`
    says who speaks. Raises InvalidInput for a value that JSON cannot hold.
    """
    text, rest = _words(value.get(TEXT)), None
    if text is not None:
        rest = {name: each for name, each in value.items() if name != TEXT}
    return Turn(
        id=key,
        speaker=_words(value.get(SPEAKER)) or DEFAULT_SPEAKER,
        text=text or _json(dict(value)),
        time=time,
        metadata={REST: _json(rest)},
    )


def value_of(turn: Turn) -> dict[str, Any]:
    """The value that was put; of a turn that was ingested otherwise, its text and its speaker."""
    rest = json.loads(turn.metadata.get(REST, json.dumps({SPEAKER: turn.speaker})))
    value: dict[str, Any] = json.loads(turn.text) if rest is None else {TEXT: turn.text, **rest}
    return value


def same_value(one: Turn, other: Turn) -> bool:
    """Whether both hold one value. They are compared as JSON, where 1 is neither 1.0 nor true."""
    return _json(value_of(one)) == _json(value_of(other))


def matches(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether all fields are as wanted, as LangGraph's own InMemoryStore has it: equal, or as
    `{"$gt": 3}` says. Of an object those fields count that are named, of an array all places.

    Raises InvalidInput for an unknown operator. Values that cannot be compared do not match.
    """
    return all(_fits(value.get(name), each) for name, each in (wanted or {}).items())


def _fits(found: object, wanted: object) -> bool:
    if isinstance(wanted, Mapping):
        if any(str(name).startswith("$") for name in wanted):
            return all(_compares(found, name, each) for name, each in wanted.items())
        return isinstance(found, Mapping) and matches(found, wanted)
    if isinstance(wanted, list | tuple):
        alike = isinstance(found, list | tuple) and len(found) == len(wanted)
        return alike and all(map(_fits, cast(Sequence[object], found), wanted))
    return found == wanted


def _compares(found: object, name: str, wanted: object) -> bool:
    if name not in OPERATORS:
        raise InvalidInput("filter", f"{name!r} is not one of {', '.join(OPERATORS)}")
    both = (found, wanted) if name in EXACT else _numbers(found, wanted)
    try:
        return OPERATORS[name](*both)
    except TypeError:
        return False


def _numbers(*values: Any) -> tuple[Any, ...]:  # noqa: ANN401 - what a store holds
    """The numbers that they are, or that their texts say; they themselves if one is none."""
    try:
        return tuple(map(float, values))
    except (TypeError, ValueError, OverflowError):
        return values


def _words(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise InvalidInput("value", f"cannot be kept as JSON: {exc}") from exc
