"""The tier scheduler's own counters, read when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from budgetmem.scheduling.histograms import bucket_of
from budgetmem.scheduling.sizes import Sizes
from budgetmem.scheduling.tier_scheduler import SchedulerStats
from server.observability import catalogue
from server.observability.family import Buckets

POWERS = range(17, 38)
"""Times are counted up to 2**17 ns (0.13 ms), 2**18, ... 2**37 ns (137 s): powers of two are edges
of the core's own buckets, so no count is an estimate."""

ENDS = ("finished", "failed", "cancelled", "expired", "closed")
REFUSALS = {"full": "full", "infeasible": "infeasible", "refused_closed": "closed"}
"""Counters of the core, and the reasons they stand for."""

QUEUE_GAUGES = {"waiting": catalogue.QUEUE_DEPTH, "in_flight": catalogue.QUEUE_IN_FLIGHT}
QUEUE_TIMES = {"queued": catalogue.QUEUE_DELAY, "service": catalogue.QUEUE_SERVICE}
MODEL_GAUGES = {"credits": catalogue.CREDITS, "credits_in_use": catalogue.CREDITS_IN_USE}
MODEL_COUNTERS = {
    "leaders": catalogue.PREFIX_LEADERS,
    "siblings": catalogue.PREFIX_SIBLINGS,
    "promotions": catalogue.PREFIX_PROMOTIONS,
    "timeouts": catalogue.PREFIX_TIMEOUTS,
}


@dataclass(frozen=True, eq=False)
class SchedulerCollector(Collector):
    """Collects of a scheduler; `stats` may be called from any thread."""

    stats: Callable[[], SchedulerStats]

    def collect(self) -> Iterator[Metric]:
        stats = self.stats()
        queues, models = stats.queues.items(), stats.backbones.items()
        for key, family in QUEUE_GAUGES.items():
            yield family.gauged((name, of[key]) for name, of in queues)
        for key, family in QUEUE_TIMES.items():
            yield family.distributed(
                (name, seconds(of[key]), of[f"{key}_ns"] / 1e9) for name, of in queues
            )
        yield catalogue.QUEUE_ITEMS.counted(
            ((*name, end), of[end]) for name, of in queues for end in ENDS
        )
        yield catalogue.QUEUE_REFUSALS.counted(
            ((*name, reason), of[key]) for name, of in queues for key, reason in REFUSALS.items()
        )
        for key, family in MODEL_GAUGES.items():
            yield family.gauged(((name,), of[key]) for name, of in models)
        for key, family in MODEL_COUNTERS.items():
            yield family.counted(((name,), of[key]) for name, of in models)
        for family, by_model in (
            (catalogue.BATCH_ITEMS, stats.batches),
            (catalogue.PREFIX_GROUP_CALLS, stats.groups),
        ):
            yield family.distributed(
                ((model,), items(sizes), sizes.items) for model, sizes in by_model.items()
            )


def seconds(histogram: NDArray[np.uint64]) -> Buckets:
    """Prometheus' buckets of a latency histogram of the core."""
    reached = np.cumsum(histogram)
    edges = [(str(2**power / 1e9), int(reached[bucket_of(2**power - 1)])) for power in POWERS]
    return [*edges, ("+Inf", int(reached[-1]))]


def items(sizes: Sizes) -> Buckets:
    """Prometheus' buckets of batches, or groups, by their items."""
    *edges, last = np.cumsum(sizes.buckets).tolist()
    return [*((str(float(2**at)), count) for at, count in enumerate(edges)), ("+Inf", last)]
