"""What a caller is told whose work a scheduler did not take, or did not get to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from budgetmem.errors import BudgetMemError, DeadlineExceeded, Overloaded, ServerUnavailable
from budgetmem.scheduling import interface
from budgetmem.scheduling.interface import Admission, EventKind

DEFAULT_RETRY_MS = 1000.0
"""The hint while nothing of a queue has been served."""

LONGEST_RETRY_MS = 60_000.0
RECENT = 10_000_000_000
"""Nanoseconds after which the services that a hint is made from are counted anew."""


@dataclass(frozen=True)
class _Served:
    """What a queue had served at a time: items, and the sum of their nanoseconds."""

    at: int = 0
    items: int = 0
    total: int = 0

    def mean_since(self, earlier: _Served) -> float | None:
        items = self.items - earlier.items
        return (self.total - earlier.total) / items if items else None


class Refusals:
    """Makes the errors. `names` are those of the queues, by index."""

    def __init__(
        self, scheduler: interface.Scheduler, names: Mapping[int, tuple[str, str]]
    ) -> None:
        self._scheduler = scheduler
        self._names = {index: "/".join(name) for index, name in names.items()}
        self._earlier: dict[int, _Served] = {}

    def of_answers(self, answers: Sequence[tuple[int, int]]) -> list[BudgetMemError]:
        """The errors of (queue, Admission) pairs that came in one answer; none of them ACCEPTED."""
        full = {queue for queue, answer in answers if answer == Admission.FULL}
        stats = self._scheduler.queue_stats() if full else []
        lines = {queue: (stats[queue]["waiting"], self._retry_ms(queue, stats)) for queue in full}
        return [self._of_answer(queue, answer, lines) for queue, answer in answers]

    def of_event(self, queue: int, kind: int) -> BudgetMemError:
        """The error of a waiting item that ended without a dispatch."""
        if kind == EventKind.EXPIRED:
            return DeadlineExceeded(f"queue {self._names[queue]}: the deadline came first")
        return self.closed()

    def closed(self) -> ServerUnavailable:
        """The error of work that comes to a closed scheduler, or waits while it closes."""
        return ServerUnavailable("the scheduler is closed")

    def _of_answer(
        self, queue: int, answer: int, lines: Mapping[int, tuple[int, float]]
    ) -> BudgetMemError:
        name = self._names[queue]
        if answer == Admission.FULL:
            waiting, retry_ms = lines[queue]
            return Overloaded(f"queue {name} is full: {waiting} items wait", retry_ms)
        if answer == Admission.INFEASIBLE:
            return DeadlineExceeded(f"queue {name}: the deadline is too near for this call")
        return self.closed()

    def _retry_ms(self, queue: int, stats: Sequence[dict[str, Any]]) -> float:
        """In how long those that wait are served, if as many as now are served side by side."""
        of_queue = stats[queue]
        served = _Served(
            self._scheduler.now(), int(of_queue["service"].sum()), int(of_queue["service_ns"])
        )
        earlier = self._earlier.setdefault(queue, _Served(served.at))
        mean = served.mean_since(earlier)
        if mean is None:
            mean = served.mean_since(_Served())
        if served.at - earlier.at > RECENT:
            self._earlier[queue] = served
        if mean is None:
            return DEFAULT_RETRY_MS
        rounds = float(of_queue["waiting"] / max(1, of_queue["in_flight"]))
        return min(LONGEST_RETRY_MS, max(1.0, mean / 1e6 * rounds))
