"""Spans, by OpenTelemetry's API alone: what a request did and how long it took, never a text.

Who wants traces passes a tracer; without one nothing is recorded. Only numbers and names of our own
(modules, tiers, rungs, models) become attributes: what callers and models say stays out.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry.trace import INVALID_SPAN, NoOpTracer, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from budgetmem.types import Step, Usage

NO_TRACER: Tracer = NoOpTracer()
"""Records nothing."""

Attributes = Mapping[str, AttributeValue]

_W3C = TraceContextTextMapPropagator()
_UNTRACED = nullcontext(INVALID_SPAN)


def traced(
    tracer: Tracer,
    name: str,
    attributes: Attributes | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
) -> AbstractContextManager[Span]:
    """A span around a block, and the current one within it.

    What ends the block marks it as failed, by its class alone: messages may quote callers.
    """
    # Spans that record nothing cost microseconds each, which add up on every request.
    return _UNTRACED if tracer is NO_TRACER else _traced(tracer, name, attributes, kind)


def mark_failed(span: Span, error: BaseException) -> None:
    """Notes the class of what ended a span. A cancellation is not an error."""
    span.set_attribute("error.type", type(error).__name__)
    if not isinstance(error, CancelledError):
        span.set_status(StatusCode.ERROR)


def trace_headers() -> dict[str, str]:
    """The W3C headers that let a server continue the current trace; none outside of one."""
    headers: dict[str, str] = {}
    _W3C.inject(headers)
    return headers


def usage_attributes(usage: Usage) -> dict[str, AttributeValue]:
    """What some work took. Its tokens are not named `gen_ai.usage`: the calls' spans have those."""
    return {
        "budgetmem.input_tokens": usage.input_tokens,
        "budgetmem.output_tokens": usage.output_tokens,
        "budgetmem.cost_usd": usage.cost_usd,
        "budgetmem.calls": usage.calls,
        "budgetmem.failed_calls": usage.failed_calls,
        "budgetmem.cache_hits": usage.cache_hits,
    }


def step_attributes(step: Step) -> dict[str, AttributeValue]:
    """What a module did. Reasons of fallbacks are left out: they may quote replies."""
    return {
        **usage_attributes(step.usage),
        "budgetmem.tier": step.choice.tier.label,
        "budgetmem.rung": step.rung,
        "budgetmem.fallbacks": [fallback.rung for fallback in step.fallbacks],
        "budgetmem.masked_tiers": [tier.label for tier in step.choice.masked],
    }


@contextmanager
def _traced(
    tracer: Tracer, name: str, attributes: Attributes | None, kind: SpanKind
) -> Iterator[Span]:
    with tracer.start_as_current_span(
        name,
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as exc:
            mark_failed(span, exc)
            raise
