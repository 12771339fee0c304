"""JSON out of what an LLM says: in Markdown fences, after reasoning, cut off, or slightly wrong."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import json_repair

from budgetmem.errors import ReplyError
from budgetmem.text import one_line, unescape

_LONGEST = 20_000
_ATTEMPTS = 8
_MOST_REPAIRED = 40_000
"""Characters, over all attempts at one reply: repairing nested braces takes some 15 µs for each,
and a reply that was made to be hard would hold up all of a server meanwhile."""
_SHOWN = 80


def read_list(reply: str, key: str) -> list[Any]:
    """The list that an LLM's reply holds under `key`.

    The last mention of the key counts, so reasoning may come before it; a bare list is taken for
    the value. Raises ReplyError if there is no such list.
    """
    text = reply.strip()[-_LONGEST:]
    if not text:
        raise ReplyError("the reply is empty")
    for value in _candidates(text, key):
        found = _under(value, key)
        if found is not None:
            return found
    raise ReplyError(f"no JSON list {key!r} in the reply: {one_line(text)[:_SHOWN]!r}")


def read_text(item: object, field: str) -> str:
    """The string (or number) in a field of a reply's item, on one line, unescaped; else empty."""
    value = item.get(field) if isinstance(item, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    # JSON may name half of a character, "\\ud83d", which no message can carry.
    whole = str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return one_line(unescape(whole))


def read_number(value: object, count: int) -> int | None:
    """The 0-based index that a 1-based number of a reply means; None if it is not 1 to `count`.

    `3`, `3.0`, `"3"` and `"[3]"` are the same number.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    match = re.fullmatch(r"\D*(\d{1,9})(?:\.0*)?\D*", str(value))
    number = int(match[1]) if match and not str(value).startswith("-") else 0
    return number - 1 if 1 <= number <= count else None


def _candidates(text: str, key: str) -> Iterator[object]:
    """Parses of the reply, the likeliest first: as it is, then from where JSON may begin."""
    with contextlib.suppress(ValueError, RecursionError):
        yield json.loads(text)
    left = _MOST_REPAIRED
    for start in dict.fromkeys(_starts(text, key)):
        left -= len(text) - start
        if left < 0:
            return
        yield _repaired(text[start:])


def _starts(text: str, key: str) -> Iterator[int]:
    """Braces before a mention of the key, the last ones first; lists behind one; a bare list."""
    mentions = list(re.finditer(rf"\b{re.escape(key)}\b[\"'”]?\s*:\s*", text))
    for mention in reversed(mentions[-_ATTEMPTS:]):
        braces = [m.start() for m in re.finditer(r"\{", text[: mention.start()])]
        yield from reversed(braces[-_ATTEMPTS:])
    yield from (m.end() for m in reversed(mentions) if text.startswith("[", m.end()))
    fence = re.match(r"```\w*\s*", text)
    bare = fence.end() if fence else 0
    if text.startswith("[", bare) and not text[bare:].rpartition("]")[2].strip(" \n`"):
        yield bare


def _repaired(text: str) -> object:
    try:
        return json_repair.loads(text, skip_json_loads=True)
    except (ValueError, RecursionError):
        return None


def _under(value: object, key: str) -> list[Any] | None:
    """The list under `key`, or the value itself if it is a list of items and not of replies."""
    if isinstance(value, Mapping):
        found = value.get(key)
        return found if isinstance(found, list) else None
    if isinstance(value, list):
        wrapped = [v[key] for v in value if isinstance(v, Mapping) and isinstance(v.get(key), list)]
        return wrapped[-1] if wrapped else value
    return None
