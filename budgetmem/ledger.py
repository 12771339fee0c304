"""Keeps one request under its ceilings, and within its caller's deadline.

Money is reserved before a call, at the most that the call can cost, and settled after it. Since
a reservation that does not fit is refused, the sum never passes the ceiling. Sums are exact and
rounded once (math.fsum): a sum of smaller costs is then never rounded above one of larger costs.

This rests on what models promise: counts that do not fall short, and replies within their limit.
What one of them takes beyond that is booked as it is, and the rest of the request has less.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from budgetmem.errors import BudgetTooSmall
from budgetmem.reasons import COST, DEADLINE, TIME
from budgetmem.types import Budget


@dataclass(frozen=True)
class Bound:
    """The most that one rung can cost: USD, and an estimate of its milliseconds."""

    cost_usd: float = 0.0
    milliseconds: float = 0.0


class Ledger:
    """What one request may still spend. `clock` returns seconds; `started` (None: now) is when the
    request arrived, and its time began to run; at `caller_deadline` (None: never) nobody waits for
    it any more."""

    def __init__(
        self,
        budget: Budget,
        clock: Callable[[], float] = time.monotonic,
        started: float | None = None,
        caller_deadline: float | None = None,
    ) -> None:
        self._clock = clock
        self._started = clock() if started is None else started
        self._cost_ceiling = math.inf if budget.max_cost_usd is None else budget.max_cost_usd
        ceiling = math.inf if budget.max_latency_ms is None else budget.max_latency_ms
        patience = math.inf if caller_deadline is None else (caller_deadline - self._started) * 1e3
        self._time_ceiling = min(ceiling, patience)
        self._time_limit = DEADLINE if patience < ceiling else TIME
        self._held = Bound()
        self._spent: list[float] = []
        self._reserved: list[float] = []

    @property
    def time_limit(self) -> str:
        """Which limit of time is the nearer one, TIME or DEADLINE."""
        return self._time_limit

    @property
    def started(self) -> float:
        """When the request began, in seconds of the clock."""
        return self._started

    @property
    def deadline(self) -> float:
        """When `left_ms` is over, in seconds of the clock; infinite without a limit of time."""
        return self._started + (self._time_ceiling - self._held.milliseconds) / 1e3

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the request began."""
        return (self._clock() - self._started) * 1e3

    @property
    def left_usd(self) -> float:
        """USD that may still be reserved."""
        return self._cost_ceiling - self._committed()

    @property
    def spent_usd(self) -> float:
        """USD that settled work has cost: never more than the ceiling."""
        return math.fsum(self._spent)

    @property
    def left_ms(self) -> float:
        """Milliseconds until the nearer limit of time, infinite without one."""
        return self._time_ceiling - self._held.milliseconds - self.elapsed_ms

    def brief_deadline(self, milliseconds: float) -> float:
        """When work has to be done that takes no more than so long, as a rule: it may take that
        from what is held back, which is an estimate; but never more than the limit of time."""
        limit = self._started + self._time_ceiling / 1e3
        return min(limit, max(self.deadline, self._clock() + milliseconds / 1e3))

    def seconds_until(self, deadline: float) -> float | None:
        """What asyncio is to wait for at most; None without a limit of time."""
        return None if math.isinf(deadline) else deadline - self._clock()

    def refusal(self, bound: Bound, share: int = 1) -> str | None:
        """The limit that forbids work of this bound, or None if it fits.

        `share` modules run side by side and divide what is left equally.
        """
        if not self._fits(*[bound.cost_usd] * share):
            return COST
        if bound.milliseconds > 0 and bound.milliseconds > self.left_ms:
            return self._time_limit
        return None

    def reserve(self, bound: Bound) -> None:
        """Sets the bound's cost aside. Raises BudgetTooSmall if it does not fit what is left."""
        if not self._fits(bound.cost_usd):
            raise BudgetTooSmall(
                f"budget.max_cost_usd: USD {bound.cost_usd:.8f} may be needed, "
                f"USD {self.left_usd:.8f} are left"
            )
        self._reserved.append(bound.cost_usd)

    def extend(self, bound: Bound, cost_usd: float) -> Bound:
        """A reservation for `cost_usd` in place of the bound's, if that is less.

        Raises BudgetTooSmall if the difference does not fit; the old reservation then stands.
        """
        if cost_usd <= bound.cost_usd:
            return bound
        longer = Bound(cost_usd, bound.milliseconds)
        self._reserved.remove(bound.cost_usd)
        try:
            self.reserve(longer)
        except BudgetTooSmall:
            self._reserved.append(bound.cost_usd)
            raise
        return longer

    def settle(self, bound: Bound, cost_usd: float) -> None:
        """Replaces a reservation by what the work really cost."""
        self._reserved.remove(bound.cost_usd)
        self._spent.append(cost_usd)

    def spend(self, cost_usd: float) -> None:
        """Books a cost that needed no reservation."""
        self._spent.append(cost_usd)

    def hold(self, bound: Bound) -> None:
        """Keeps the bound back for a later part of the request, until `release_held`."""
        self._held = bound

    def release_held(self) -> None:
        """Frees what was kept back, for the part of the request that it was kept for."""
        self._held = Bound()

    def _committed(self, *more: float) -> float:
        return math.fsum([self._held.cost_usd, *self._spent, *self._reserved, *more])

    def _fits(self, *costs: float) -> bool:
        """Whether these can be paid besides all that is spoken for; what is free always can."""
        return not any(costs) or self._committed(*costs) <= self._cost_ceiling
