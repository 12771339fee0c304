"""Chunks as they are read: under the dates of their sessions, relative dates resolved."""

from __future__ import annotations

from collections.abc import Sequence

from budgetmem import dates
from budgetmem.periods import heading
from budgetmem.types import Chunk


def as_found(chunks: Sequence[Chunk]) -> str:
    """All of the chunks, in their order: what plain retrieval gives to an answerer."""
    return under_dates(chunks, [dated(chunk) for chunk in chunks])


def under_dates(chunks: Sequence[Chunk], texts: Sequence[str]) -> str:
    """The chunks' texts, under the date of their session wherever it changes."""
    written: list[str] = []
    told: str | None = None
    for chunk, text in zip(chunks, texts, strict=True):
        day = None if chunk.time is None else heading(chunk.time)
        if day not in (None, told):
            written.append(day)
        told = day
        written.append(text)
    return "\n".join(written)


def dated(chunk: Chunk) -> str:
    """The text with its relative dates resolved, if the session's date is known."""
    return chunk.text if chunk.time is None else dates.annotate(chunk.text, chunk.time)
