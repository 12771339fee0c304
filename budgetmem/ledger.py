"""Keeps one request under its ceilings.

Money is reserved before a call, at the most that the call can cost, and settled after it. Since
nothing is sent whose reservation does not fit, the sum never passes the ceiling.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from budgetmem.types import Budget


@dataclass(frozen=True)
class Bound:
    """The most that one rung can cost: USD, and an estimate of its milliseconds."""

    cost_usd: float = 0.0
    milliseconds: float = 0.0


class Ledger:
    """What one request may still spend. `clock` returns seconds; `started` (None: now) is when the
    request arrived, and its time began to run."""

    def __init__(
        self,
        budget: Budget,
        clock: Callable[[], float] = time.monotonic,
        started: float | None = None,
    ) -> None:
        self._clock = clock
        self._started = clock() if started is None else started
        self._cost_ceiling = math.inf if budget.max_cost_usd is None else budget.max_cost_usd
        self._time_ceiling = math.inf if budget.max_latency_ms is None else budget.max_latency_ms
        self._held = Bound()
        self._spent = 0.0
        self._reserved = 0.0

    @property
    def started(self) -> float:
        """When the request began, in seconds of the clock."""
        return self._started

    @property
    def deadline(self) -> float:
        """When `left_ms` is over, in seconds of the clock; infinite without a latency ceiling."""
        return self._started + (self._time_ceiling - self._held.milliseconds) / 1e3

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the request began."""
        return (self._clock() - self._started) * 1e3

    @property
    def left_usd(self) -> float:
        """USD that may still be reserved."""
        return self._cost_ceiling - self._held.cost_usd - self._spent - self._reserved

    @property
    def left_ms(self) -> float:
        """Milliseconds until the latency ceiling, infinite without one."""
        return self._time_ceiling - self._held.milliseconds - self.elapsed_ms

    def refusal(self, bound: Bound, share: int = 1) -> str | None:
        """The ceiling that forbids work of this bound, or None if it fits.

        `share` modules run side by side and divide what is left equally.
        """
        if bound.cost_usd > 0 and bound.cost_usd > self.left_usd / share:
            return "max_cost_usd"
        if bound.milliseconds > 0 and bound.milliseconds > self.left_ms:
            return "max_latency_ms"
        return None

    def reserve(self, bound: Bound) -> None:
        """Sets the bound's cost aside. The caller has asked `refusal` first."""
        self._reserved += bound.cost_usd

    def settle(self, bound: Bound, cost_usd: float) -> None:
        """Replaces a reservation by what the work really cost."""
        self._reserved -= bound.cost_usd
        self._spent += cost_usd

    def spend(self, cost_usd: float) -> None:
        """Books a cost that needed no reservation."""
        self._spent += cost_usd

    def hold(self, bound: Bound) -> None:
        """Keeps the bound back for a later part of the request, until `release_held`."""
        self._held = bound

    def release_held(self) -> None:
        """Frees what was kept back, for the part of the request that it was kept for."""
        self._held = Bound()
