"""A store's calls, which block, beside the event loop; and again where somebody else was first."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from budgetmem.errors import Conflict
from budgetmem.store.base import Busy

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 20

_PATIENCE_S = 30.0
"""For somebody else who holds a history."""


@dataclass(frozen=True)
class Aside:
    """Calls on `threads`, by default those of asyncio. `clock` returns seconds."""

    threads: Executor | None
    clock: Callable[[], float]

    async def __call__(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `asyncio.to_thread`."""
        run = partial(copy_context().run, call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self.threads, run)

    async def in_turn(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Again and again while somebody else holds the history: in between the thread is free for
        other calls. Raises Conflict if that lasts too long."""
        give_up = self.clock() + _PATIENCE_S
        number = 1
        while True:
            try:
                return await self(call, *args, **kwargs)
            except Busy as exc:
                if self.clock() >= give_up:
                    raise Conflict(str(exc)) from exc
            await _pause(number)
            number += 1


async def retried(attempt: Callable[[], Awaitable[T]]) -> T:
    """Plans and writes again while another writer is first, up to a limit."""
    for number in range(1, ATTEMPTS):
        try:
            return await attempt()
        except Conflict:
            await _pause(number)
    return await attempt()


async def _pause(number: int) -> None:
    # Writers that met once would meet again if they waited equally long.
    await asyncio.sleep(random.uniform(0, 0.01 * min(number, 50)))
