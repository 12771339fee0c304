"""One metric as data: made for what is counted as it happens, filled for what is read on demand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

Kind = Literal["counter", "gauge", "histogram"]

Values = Iterable[tuple[Sequence[str], float]]
"""Values by the labels' values."""

Buckets = Sequence[tuple[str, float]]
"""Counts up to each upper bound, the last of which is +Inf."""


@dataclass(frozen=True)
class Family:
    """One metric, under its name on /metrics; histograms get `_bucket`, `_sum` and `_count`."""

    name: str
    kind: Kind
    about: str
    labels: tuple[str, ...] = ()

    def counter(self, registry: CollectorRegistry) -> Counter:
        """A counter to count with."""
        return Counter(self.name, self.about, self.labels, registry=registry)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """A gauge to set."""
        return Gauge(self.name, self.about, self.labels, registry=registry)

    def histogram(self, registry: CollectorRegistry, bounds: Sequence[float]) -> Histogram:
        """A histogram to observe with; `bounds` are upper ones."""
        return Histogram(self.name, self.about, self.labels, registry=registry, buckets=bounds)

    def counted(self, values: Values) -> Metric:
        """A counter as it is now."""
        metric = CounterMetricFamily(self.name, self.about, labels=self.labels)
        for labels, value in values:
            metric.add_metric(labels, value)
        return metric

    def gauged(self, values: Values) -> Metric:
        """A gauge as it is now."""
        metric = GaugeMetricFamily(self.name, self.about, labels=self.labels)
        for labels, value in values:
            metric.add_metric(labels, value)
        return metric

    def distributed(self, values: Iterable[tuple[Sequence[str], Buckets, float]]) -> Metric:
        """A histogram as it is now: labels, buckets and the sum of what they hold."""
        metric = HistogramMetricFamily(self.name, self.about, labels=self.labels)
        for labels, buckets, total in values:
            metric.add_metric(labels, buckets, total)
        return metric
