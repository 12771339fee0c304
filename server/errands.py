"""Work that is done to its end, though whoever asked for it has left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any, TypeVar

from server.room import CallLimits, Room, Share

T = TypeVar("T")


class Errands:
    """Runs what must not stop half way, as much at a time as its `share`. `close` waits for what is
    still under way.

    Each holds a place of its own until it has ended: the call's is free when its caller leaves, so
    who asks and leaves again and again would else be stopped by nothing.
    """

    def __init__(self, share: Share | None = None) -> None:
        self._room = Room(share or CallLimits().store, "deletions")
        # The event loop itself keeps no task alive.
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, tenant: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the work gives. When the caller is cancelled the work goes on. Raises Overloaded,
        and does nothing, if there is no place for it."""
        place = ExitStack()
        place.enter_context(self._room.place(tenant))
        task = asyncio.create_task(work())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: place.close())
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Waits until all work is done, that which is begun meanwhile too."""
        while self._running:
            await asyncio.wait(self._running)
