"""Counts what receipts say: tiers, fallbacks, tokens, USD, cache hits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry

from budgetmem.history import IngestReport
from budgetmem.reasons import REASONS
from budgetmem.types import Receipt, Step, Usage
from server.observability import catalogue

RETRIEVAL, ANSWER, INGEST = "retrieval", "answer", "ingest"
"""Parts of a request beside its modules."""


class ReceiptMetrics:
    """What is counted of receipts, and of ingests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._steps = catalogue.STEPS.counter(registry)
        self._fallbacks = catalogue.FALLBACKS.counter(registry)
        self._masked = catalogue.MASKED_TIERS.counter(registry)
        self._tokens = catalogue.TOKENS.counter(registry)
        self._cost = catalogue.COST.counter(registry)
        self._request_cost = catalogue.REQUEST_COST.histogram(registry, catalogue.USD)
        self._duration = catalogue.PART_DURATION.histogram(registry, catalogue.SECONDS)
        self._calls = catalogue.CALLS.counter(registry)
        self._failed_calls = catalogue.FAILED_CALLS.counter(registry)
        self._cache_hits = catalogue.CACHE_HITS.counter(registry)
        self._chunks = catalogue.CHUNKS.counter(registry)
        self._turns = catalogue.INGESTED_TURNS.counter(registry)

    def count(self, receipt: Receipt) -> None:
        """A request that came to its end."""
        self.count_steps(receipt.strategy, receipt.steps)
        for part, usage in _other_parts(receipt):
            self._count_usage(part, usage)
        self._request_cost.labels(receipt.strategy).observe(receipt.total.cost_usd)
        self._chunks.labels("retrieved").inc(len(receipt.retrieved_chunk_ids))
        self._chunks.labels("kept").inc(len(receipt.kept_chunk_ids))

    def count_steps(self, strategy: str, steps: Iterable[Step]) -> None:
        """The steps of a request, or those that were done before it failed."""
        for step in steps:
            tier = step.choice.tier.label
            self._steps.labels(strategy, step.module, tier, step.rung).inc()
            for fallback in step.fallbacks:
                reason = reason_of(fallback.reason)
                self._fallbacks.labels(step.module, fallback.rung, reason).inc()
            for masked, why in step.choice.masked.items():
                self._masked.labels(step.module, masked.label, reason_of(why)).inc()
            self._count_usage(step.module, step.usage)

    def count_ingest(self, report: IngestReport) -> None:
        """Turns that were ingested, and what the encoder read for them."""
        self._turns.labels("added").inc(report.added)
        self._turns.labels("unchanged").inc(report.unchanged)
        self._tokens.labels(INGEST, "input").inc(report.tokens)

    def _count_usage(self, part: str, usage: Usage) -> None:
        self._tokens.labels(part, "input").inc(usage.input_tokens)
        self._tokens.labels(part, "output").inc(usage.output_tokens)
        self._cost.labels(part).inc(usage.cost_usd)
        self._duration.labels(part).observe(usage.milliseconds / 1e3)
        self._calls.labels(part).inc(usage.calls)
        self._failed_calls.labels(part).inc(usage.failed_calls)
        self._cache_hits.labels(part).inc(usage.cache_hits)


def reason_of(text: str) -> str:
    """The kind of a reason that a receipt gives; `other` if it is none of REASONS. What follows it
    may quote a reply, and is no label."""
    kind = text.partition(":")[0]
    return kind if kind in REASONS else "other"


def _other_parts(receipt: Receipt) -> Iterator[tuple[str, Usage]]:
    yield RETRIEVAL, receipt.retrieval
    if receipt.answer is not None:
        yield ANSWER, receipt.answer
