"""The few metrics that people watch: what AdminService tells of a registry that has all of them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry

from budgetmem.info import Sample
from server.observability import catalogue

FAMILIES = (
    *(catalogue.READY, catalogue.REQUESTS, catalogue.REQUEST_DURATION),
    *(catalogue.REQUESTS_IN_FLIGHT, catalogue.TOKENS, catalogue.COST),
    *(catalogue.QUEUE_DEPTH, catalogue.QUEUE_DELAY, catalogue.CACHE_HITS),
    *(catalogue.FALLBACKS, catalogue.BREAKER_STATE),
)
ENDINGS = {"counter": ("",), "gauge": ("",), "histogram": ("_sum", "_count")}
"""What is told of each kind. Not buckets, which are most of a registry's samples."""

NAMES = frozenset(f"{each.name}{end}" for each in FAMILIES for end in ENDINGS[each.kind])


def at_a_glance(registry: CollectorRegistry) -> tuple[Sample, ...]:
    """The samples of FAMILIES at this moment. Some tens of milliseconds; any thread."""
    return tuple(_samples(registry))


def _samples(registry: CollectorRegistry) -> Iterator[Sample]:
    for metric in registry.collect():
        for each in metric.samples:
            if each.name in NAMES:
                yield Sample(each.name, each.labels, each.value)
