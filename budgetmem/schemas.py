"""JSON schemas of strings in LLM replies, bounded by sentences.

A grammar compiler makes a state of every character that a `maxLength` allows, and stands still for
seconds; sentences take a few states (docs/decisions/0008). Every pattern can end at every word.
"""

from __future__ import annotations

from typing import Any

_CONTROL = r"\x00-\x1f"
_INSIDE = rf'[^.!?"\\{_CONTROL}]'
"""What ends no sentence, and needs no escape in JSON."""

_SENTENCE = rf'{_INSIDE}+([.!?][^ .!?"\\{_CONTROL}]{_INSIDE}*)*'
"""A mark ends it only before a space or the string's end: 3.50 is inside, "Dr. Who" is not."""

_END = "[.!?]{0,3}"

STRING: dict[str, Any] = {"type": "string"}
"""As long as the reply's limit allows."""

SENTENCE: dict[str, Any] = {"type": "string", "pattern": rf"^{_SENTENCE}{_END}$"}


def sentences(most: int) -> dict[str, Any]:
    """One to `most` sentences. The last may do without an end mark: in some scripts it is another,
    and a string that cannot end takes the reply with it."""
    before = rf"({_SENTENCE}[.!?]{{1,3}} ){{0,{most - 1}}}" if most > 1 else ""
    return {"type": "string", "pattern": rf"^{before}{_SENTENCE}{_END}$"}
