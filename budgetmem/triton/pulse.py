"""Tells a busy model from a dead one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.timeouts import within

PROBE_TIMEOUT_S = 60.0


class Pulse:
    """At most one probe of a model at a time, whose result all waiting requests share."""

    def __init__(self, probe: Callable[[], Awaitable[None]]) -> None:
        self._probe = probe
        self._running: asyncio.Task[BackboneUnavailable | None] | None = None

    async def check(self, request: asyncio.Future[Any]) -> None:
        """Returns when `request` is done, or when the model has answered a probe or its time is up.

        Raises BackboneUnavailable if the probe found the model gone.
        """
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._ask())
        running = self._running
        await asyncio.wait((running, request), return_when=asyncio.FIRST_COMPLETED)
        if not request.done() and (gone := running.result()) is not None:
            raise BackboneUnavailable(str(gone)) from gone

    async def _ask(self) -> BackboneUnavailable | None:
        try:
            await within(PROBE_TIMEOUT_S, self._probe())
        except BackboneUnavailable as exc:
            return exc
        except (BackboneError, asyncio.TimeoutError):
            # Any answer is a sign of life, and a queue may be long.
            return None
        return None
