"""Micro-benchmarks of what it costs to be watched, each part apart.

    pytest benchmarks/test_observability.py --benchmark-timer=time.thread_time

A request has one call, one receipt and, where it is traced, up to 28 spans.
"""

# ruff: noqa: D103 - the names of the benchmarks say what is timed

from __future__ import annotations

from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry, generate_latest
from pytest_benchmark.fixture import BenchmarkFixture

from budgetmem.config import load_profile
from budgetmem.modules import MODULES
from budgetmem.tiers import Tier
from budgetmem.tracing import NO_TRACER, step_attributes, traced
from budgetmem.types import Choice, Receipt, Step, Usage
from server.assembly import open_scheduler
from server.observability.receipts import ReceiptMetrics
from server.observability.scheduler import SchedulerCollector

USAGE = Usage(900, 60, 3e-5, 400.0, 1)
STEPS = tuple(
    Step(module, Choice(Tier.HIGH, (0.0, 0.0, 1.0)), "ask direct @ high", USAGE)
    for module in MODULES
)
RECEIPT = Receipt("capacity", "fixed-high", STEPS, USAGE, USAGE, USAGE, ("1", "2"), ("1",))


class Nowhere(SpanExporter):
    """Drops what it gets."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def recording() -> Tracer:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    return provider.get_tracer("benchmark")


@pytest.mark.parametrize("tracer", [NO_TRACER, recording()], ids=["no tracer", "SDK"])
def test_a_span_with_a_steps_attributes(benchmark: BenchmarkFixture, tracer: Tracer) -> None:
    def span() -> None:
        with traced(tracer, "module entity") as current:
            current.set_attributes(step_attributes(STEPS[0]))

    benchmark(span)


def test_a_receipt_of_five_modules_and_an_answer(benchmark: BenchmarkFixture) -> None:
    metrics = ReceiptMetrics(CollectorRegistry())
    benchmark(metrics.count, RECEIPT)


def test_a_scrape_of_the_schedulers_metrics(benchmark: BenchmarkFixture) -> None:
    registry = CollectorRegistry()
    registry.register(SchedulerCollector(open_scheduler(load_profile("small")).stats))
    benchmark(generate_latest, registry)
