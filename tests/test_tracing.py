from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_current_span

from budgetmem.client.calls import call_options
from budgetmem.client.identity import Identity
from budgetmem.tiers import Tier
from budgetmem.tracing import NO_TRACER, step_attributes, trace_headers, traced
from budgetmem.types import Choice, Fallback, Step, Usage


@pytest.fixture
def spans():
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider.get_tracer("test")


def test_a_block_is_a_span_with_attributes(tracer, spans):
    with traced(tracer, "outer") as outer, traced(tracer, "inner", {"n": 1}) as inner:
        assert get_current_span() is inner
    first, second = spans.get_finished_spans()
    assert (first.name, dict(first.attributes)) == ("inner", {"n": 1})
    assert first.parent.span_id == second.context.span_id == outer.get_span_context().span_id
    assert first.status.status_code is StatusCode.UNSET


def test_a_failure_is_told_by_its_class_alone(tracer, spans):
    with pytest.raises(ValueError, match="secret"), traced(tracer, "outer"):
        raise ValueError("secret")
    [span] = spans.get_finished_spans()
    assert dict(span.attributes) == {"error.type": "ValueError"}
    assert span.status.status_code is StatusCode.ERROR
    assert "secret" not in span.to_json()


def test_a_cancellation_is_noted_but_no_error(tracer, spans):
    with pytest.raises(asyncio.CancelledError), traced(tracer, "outer"):
        raise asyncio.CancelledError
    [span] = spans.get_finished_spans()
    assert dict(span.attributes) == {"error.type": "CancelledError"}
    assert span.status.status_code is StatusCode.UNSET


def test_headers_name_the_current_span(tracer):
    assert trace_headers() == {}
    with traced(tracer, "outer") as span:
        context = span.get_span_context()
        ids = f"{context.trace_id:032x}-{context.span_id:016x}"
        expected = f"00-{ids}-{context.trace_flags:02x}"
        assert trace_headers() == {"traceparent": expected}


def test_without_a_tracer_the_trace_of_somebody_else_goes_on(tracer):
    with traced(tracer, "theirs"):
        theirs = trace_headers()
        with traced(NO_TRACER, "ours") as span:
            assert not span.is_recording()
            assert trace_headers() == theirs


def test_a_client_within_a_trace_takes_it_along(tracer):
    acme = Identity("acme")
    assert call_options(acme)["metadata"] == (("budgetmem-tenant", "acme"),)
    with traced(tracer, "agent"):
        metadata = call_options(acme)["metadata"]
        assert metadata == (("budgetmem-tenant", "acme"), *trace_headers().items())


def test_a_step_is_told_without_the_reasons_of_its_fallbacks():
    step = Step(
        "entity",
        Choice(Tier.HIGH, (0.0, 0.0, 1.0), {Tier.MID: "max_cost_usd"}),
        "apply rules",
        Usage(10, 3, 2e-6, 4.5, 2, 1, 4),
        (Fallback("ask direct @ high", "reply: 'Ana lives in Lisbon' is no JSON"),),
    )
    assert step_attributes(step) == {
        "budgetmem.tier": "high",
        "budgetmem.rung": "apply rules",
        "budgetmem.fallbacks": ["ask direct @ high"],
        "budgetmem.masked_tiers": ["mid"],
        "budgetmem.input_tokens": 10,
        "budgetmem.output_tokens": 3,
        "budgetmem.cost_usd": 2e-6,
        "budgetmem.calls": 2,
        "budgetmem.failed_calls": 1,
        "budgetmem.cache_hits": 4,
    }


def test_the_library_and_a_server_without_traces_need_no_sdk():
    code = (
        "import sys, budgetmem.client, budgetmem.pipeline, server.serving; "
        "heavy = ('opentelemetry.sdk', 'opentelemetry.exporter'); "
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
