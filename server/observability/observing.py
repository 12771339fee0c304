"""Everything that watches a server, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial

from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry
from prometheus_client.process_collector import ProcessCollector

from budgetmem.backbone import Models
from budgetmem.errors import BudgetMemError
from budgetmem.hosts import bracketed
from budgetmem.scheduling.tier_scheduler import SchedulerStats
from budgetmem.tracing import NO_TRACER
from server.engine import Engine
from server.errors import status_of
from server.observability import catalogue
from server.observability.backbones import ModelMetrics, observed_models
from server.observability.endpoint import metrics_endpoint
from server.observability.engine import ObservedExtractor, ObservedHistories
from server.observability.glance import at_a_glance
from server.observability.interceptor import CallMetrics, CallWatch
from server.observability.options import ObservabilityOptions
from server.observability.receipts import ReceiptMetrics
from server.observability.scheduler import SchedulerCollector
from server.observability.state import StateCollector
from server.observability.tracing import exporting
from server.security.tenants import Metadata

Admit = Callable[[str, Metadata], AbstractAsyncContextManager[str]]
"""Holds the place of a call of `/package.Service/Method`, and tells its name, or raises why it is
refused."""


class Observability:
    """One server's metrics, in a registry of their own, and its tracer.

    `interceptor` is to be the first of the server's, `triton_restarts` to be counted up.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, tracer: Tracer = NO_TRACER
    ) -> None:
        self.registry = registry or CollectorRegistry()
        self.tracer = tracer
        self.interceptor = CallWatch(CallMetrics(self.registry), tracer)
        self.triton_restarts = catalogue.TRITON_RESTARTS.counter(self.registry)
        self._receipts = ReceiptMetrics(self.registry)
        self._backbones = ModelMetrics(self.registry)
        ProcessCollector(registry=self.registry)

    def models(self, models: Models, endpoints: Collection[str] = ()) -> Models:
        """The same models, watched; a scheduler is to stand before them. `endpoints` are the keys
        of the backbones that are not on Triton."""
        return observed_models(models, self._backbones, self.tracer, endpoints)

    def engine(self, engine: Engine) -> Engine:
        """The same engine, watched."""
        return replace(
            engine,
            histories=ObservedHistories(engine.histories, self._receipts),
            pipeline=ObservedExtractor(engine.pipeline, self._receipts),
            metrics=partial(at_a_glance, self.registry),
        )

    def admitting(self, admit: Admit) -> Admit:
        """The same `admit` of another door; who is refused there is counted."""

        @asynccontextmanager
        async def watched(method: str, metadata: Metadata) -> AsyncIterator[str]:
            async with AsyncExitStack() as place:
                try:
                    name = await place.enter_async_context(admit(method, metadata))
                except BudgetMemError as exc:
                    self.interceptor.refused(method, metadata, status_of(exc))
                    raise
                yield name

        return watched

    def watch_state(self, state: StateCollector) -> None:
        """Collects what the server is, from now on."""
        self.registry.register(state)

    def watch_scheduler(self, stats: Callable[[], SchedulerStats]) -> None:
        """Collects the counters of a scheduler, from now on."""
        self.registry.register(SchedulerCollector(stats))


@asynccontextmanager
async def observing(
    options: ObservabilityOptions, announce: Callable[[str], None]
) -> AsyncIterator[Observability]:
    """Observability as it was asked for, until the block ends.

    Raises ConfigError for an address that cannot be had, and where the SDK of traces is missing.
    """
    async with AsyncExitStack() as stack:
        tracer = await stack.enter_async_context(exporting(options.otlp_endpoint))
        seen = Observability(tracer=tracer)
        if options.metrics_port is not None:
            host = options.metrics_host
            port = await stack.enter_async_context(
                metrics_endpoint(seen.registry, host, options.metrics_port)
            )
            announce(f"metrics on http://{bracketed(host)}:{port}/metrics")
        yield seen
