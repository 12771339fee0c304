"""Heavy pieces of work on an event loop, one in each of its turns."""

from __future__ import annotations

import asyncio
from collections import deque


class LoopTurns:
    """Spreads work that holds the event loop over its turns: one piece a turn, in order of asking.

    A turn of the loop runs everything that is ready. When that is a heavy piece of each of thirty
    requests, nothing else happens for as long as they all take: gRPC's asyncio server, which
    accepts one call a turn, falls behind, and calls wait where nobody sees whose they are.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False

    async def take(self) -> None:
        """Returns in a turn of the loop that nobody else has taken."""
        loop = asyncio.get_running_loop()
        if not self._taken:
            self._taken = True
            loop.call_soon(self._next, loop)
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else its task was cancelled
                turn.set_result(None)
                loop.call_soon(self._next, loop)
                return
        self._taken = False
