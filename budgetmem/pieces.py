"""Long work in a worker thread, so that others get their turn at the thread in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 8
"""Items that are made in one go. Lines and units of the longest kind, and files of histories that
are looked at, take up to 10 ms each."""

Aside = Callable[[Callable[[Iterator[T]], list[T]], Iterator[T]], Awaitable[list[T]]]
"""Calls a function in the thread, as `asyncio.to_thread` does."""


async def in_pieces(items: Iterator[T], aside: Aside[T] = asyncio.to_thread) -> list[T]:
    """All of the items, which are made in a thread a few at a time."""
    made: list[T] = []
    while some := await aside(list, islice(items, AT_ONCE)):
        made += some
    return made
