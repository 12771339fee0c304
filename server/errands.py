"""Work that is done to its end, though whoever asked for it has left."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Errands:
    """Runs what must not stop half way. `close` waits for what is still under way."""

    def __init__(self) -> None:
        # The event loop itself keeps no task alive.
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives. When the caller is cancelled the work goes on."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Waits until all work is done, that which is begun meanwhile too."""
        while self._running:
            await asyncio.wait(self._running)
