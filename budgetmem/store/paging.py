"""Turns read a page at a time, so that nobody has to hold a whole history in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from budgetmem.errors import Conflict
from budgetmem.types import Turn

PAGE_TURNS = 256
PAGE_CHARACTERS = 1024 * 1024
"""A page has no more turns, and no more text but for that of its last turn."""


@dataclass(frozen=True)
class Page:
    """Some turns in order of arrival. `end` is the place of the last one, `epoch` the life of the
    history that they were read in."""

    epoch: str
    end: int
    turns: tuple[Turn, ...]


def page_of(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """The first of these turns, as many as a page may have; the others are not read."""
    taken, characters = [], 0
    for turn in turns:
        taken.append(turn)
        characters += _characters(turn)
        if len(taken) >= PAGE_TURNS or characters >= PAGE_CHARACTERS:
            break
    return tuple(taken)


def _characters(turn: Turn) -> int:
    labels = (*turn.metadata.keys(), *turn.metadata.values())
    return sum(map(len, (turn.text, turn.speaker, turn.caption or "", *labels)))


def paged(history: str, read: Callable[[int], Page]) -> Iterator[Turn]:
    """All turns of all pages. `read` gives the page after a place, an empty one at the end; the
    first is read at once.

    Raises what `read` raises, and Conflict if the history was deleted and made again meanwhile.
    """
    return _from(read(0), history, read)


def _from(page: Page, history: str, read: Callable[[int], Page]) -> Iterator[Turn]:
    epoch = page.epoch
    while page.turns:
        yield from page.turns
        page = read(page.end)
        if page.epoch != epoch:
            raise Conflict(f"history {history!r} was deleted or rebuilt meanwhile")
