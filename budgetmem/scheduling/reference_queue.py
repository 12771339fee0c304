"""The bounds and the counters of one queue of the reference core."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from budgetmem.scheduling.histograms import BUCKETS, bucket_of
from budgetmem.scheduling.interface import NEVER, QueuePlan
from budgetmem.scheduling.reference_backbone import Backbone

_COUNTERS = (
    *("accepted", "full", "infeasible", "refused_closed", "dispatched", "finished", "failed"),
    *("cancelled", "expired", "closed"),
)


class Durations:
    """A histogram of times and their sum, in nanoseconds."""

    def __init__(self) -> None:
        self.counts = np.zeros(BUCKETS, dtype=np.uint64)
        self.sum = 0

    def record(self, ns: int) -> None:
        """Counts one; a negative time counts as 0, one beyond NEVER as NEVER."""
        kept = min(max(ns, 0), NEVER)
        self.counts[bucket_of(kept)] += np.uint64(1)
        self.sum += kept


@dataclass(eq=False)
class Queue:
    """What is known of one queue. `waiting` counts items by tenant."""

    plan: QueuePlan
    backbone: Backbone
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTERS, 0))
    waiting: Counter[int] = field(default_factory=Counter)
    all_waiting: int = 0
    in_flight: int = 0
    queued: Durations = field(default_factory=Durations)
    service: Durations = field(default_factory=Durations)

    def full(self, tenant: int) -> bool:
        """Whether the queue, or this tenant's part of it, is."""
        return (
            self.all_waiting >= self.plan.capacity
            or self.waiting[tenant] >= self.plan.tenant_capacity
        )

    def enter(self, tenant: int) -> None:
        """Takes a place."""
        self.all_waiting += 1
        self.waiting[tenant] += 1

    def leave(self, tenant: int) -> None:
        """Frees a place."""
        self.all_waiting -= 1
        self.waiting[tenant] -= 1
        if not self.waiting[tenant]:
            del self.waiting[tenant]

    def stats(self) -> dict[str, Any]:
        """The counters and histograms of interface.Core.queue_stats."""
        return {
            **self.counts,
            "waiting": self.all_waiting,
            "in_flight": self.in_flight,
            "queued": self.queued.counts.copy(),
            "queued_ns": self.queued.sum,
            "service": self.service.counts.copy(),
            "service_ns": self.service.sum,
        }
