"""Starts the embedded Triton anew whenever it ends, later and later if it keeps ending."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from budgetmem.errors import BackboneUnavailable
from server.triton_process import EmbeddedTriton

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restarts:
    """How long is waited before Triton is started anew.

    Not at all the first time, nor if it ran for `stable_s` seconds; then `first_s`, which doubles
    every time, up to `most_s`. After `attempts` starts in a row that failed or did not last, no
    more are made.
    """

    first_s: float = 1.0
    most_s: float = 30.0
    stable_s: float = 60.0
    attempts: int = 6
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def keep_running(
        self,
        triton: EmbeddedTriton,
        went: Callable[[], Awaitable[None]],
        back: Callable[[], Awaitable[None]],
    ) -> None:
        """Goes on until it is cancelled; `went` and `back` are told of each end and new start.

        Raises BackboneUnavailable when Triton cannot be kept running.
        """
        short_lives = 0
        while True:
            started = self.clock()
            code = await triton.wait_exit()
            logger.error("Triton ended with code %d: starting it anew", code)
            await went()
            lasted = self.clock() - started >= self.stable_s
            short_lives = await self._start(triton, 0 if lasted else short_lives + 1)
            await back()

    async def _start(self, triton: EmbeddedTriton, short_lives: int) -> int:
        """Starts it after so many lives that did not last; gives their number."""
        while True:
            if short_lives >= self.attempts:
                raise BackboneUnavailable(
                    f"Triton ended {short_lives} times within {self.stable_s:g} s of its start: "
                    "see its log above"
                )
            if short_lives > 1:
                await self.sleep(min(self.first_s * 2 ** (short_lives - 2), self.most_s))
            try:
                await triton.restart()
            except BackboneUnavailable as exc:
                logger.error("Triton does not start: %s", exc)
                short_lives += 1
            else:
                return short_lives
