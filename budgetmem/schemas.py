"""JSON schemas of strings in LLM replies, bounded by sentences.

A grammar compiler makes a state of every character that a `maxLength` allows, and stands still for
seconds; sentences take a few states (docs/decisions/0008).
"""

from __future__ import annotations

from typing import Any

_INSIDE = r"[^.!?\"\\\n\r\t]"
"""What ends no sentence, and needs no escape in JSON."""

_SENTENCE = rf"{_INSIDE}+([.!?][^ .!?\"\\\n\r\t]{_INSIDE}*)*"
"""A mark ends it only before a space or the string's end: 3.50 and p.m. are inside."""

STRING: dict[str, Any] = {"type": "string"}
"""As long as the reply's limit allows."""

SENTENCE: dict[str, Any] = {"type": "string", "pattern": rf"^{_SENTENCE}[.!?]?$"}
"""One sentence, whose end mark may be absent."""


def sentences(most: int) -> dict[str, Any]:
    """One to `most` sentences, each with its end mark."""
    return {"type": "string", "pattern": rf"^({_SENTENCE}[.!?] ?){{1,{most}}}$"}
