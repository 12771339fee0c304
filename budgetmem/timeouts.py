"""Waiting for so long and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from budgetmem.errors import DeadlineExceeded

T = TypeVar("T")

LONGEST_S = 1e9
"""For a call, some thirty years: gRPC's clock overflows above 9.2e9 s from now, and the call fails
at once."""


async def within(seconds: float | None, work: Awaitable[T]) -> T:
    """What `work` returns; it has ended when this does. None waits for as long as it takes.

    Raises asyncio.TimeoutError if it took longer. It is `asyncio.wait_for`, which before Python
    3.12 does not notice that its caller is cancelled if that is as the work ends: who has left
    would be worked for on and on.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        late = task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    if late and task.cancelled():
        raise asyncio.TimeoutError
    return task.result()


@contextmanager
def in_line(late: Callable[[], bool]) -> Iterator[None]:
    """Around a wait for a turn. Who is cancelled there when it is `late` gets DeadlineExceeded: the
    time was over before anything was begun that is to be paid for."""
    try:
        yield
    except asyncio.CancelledError as exc:
        if not late():
            raise
        raise DeadlineExceeded("the deadline came before the turn") from exc
