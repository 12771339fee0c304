"""Requests are counted where they end, however they end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from budgetmem.errors import BackboneUnavailable
from budgetmem.pipeline import ExtractRequest, StepEvent
from server.observability.calls import Call, begin
from server.observability.engine import ObservedExtractor
from server.observability.receipts import ReceiptMetrics
from tests.server.fake_engine import ANSWER, MEMORY, RECEIPT, STEPS, FakePipeline
from tests.server.observability.samples import value

REQUEST = ExtractRequest("acme", "trip", "When?", strategy="capacity")
FIRST = {"module": "filter", "tier": "low", "rung": "apply rules"}


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def pipeline():
    return FakePipeline()


@pytest.fixture
def door(registry, pipeline):
    return ObservedExtractor(pipeline, ReceiptMetrics(registry))


@pytest.fixture
async def call():
    call = Call("id", "Extract")
    begin(call)
    return call


async def test_a_finished_request_is_counted_by_its_receipt(door, registry, call):
    assert await door.extract(REQUEST) is MEMORY
    assert value(registry, "budgetmem_steps_total", strategy="implementation", **FIRST) == 1
    assert value(registry, "budgetmem_chunks_total", state="retrieved") == 2
    assert value(registry, "budgetmem_cost_usd_total", part="entity") == 2e-6
    assert (call.tenant, call.cost_usd) == ("acme", RECEIPT.total.cost_usd)


async def test_an_answer_is_counted_by_the_receipt_that_covers_it(door, registry, call):
    assert await door.answer(REQUEST) is ANSWER
    assert value(registry, "budgetmem_tokens_total", part="answer", direction="output") == 2
    assert value(registry, "budgetmem_steps_total", strategy="implementation", **FIRST) == 1


@pytest.mark.parametrize("method", ["extract", "answer"])
async def test_what_a_failed_request_had_done_is_counted(door, pipeline, registry, call, method):
    pipeline.failure = BackboneUnavailable("gone")
    with pytest.raises(BackboneUnavailable):
        await getattr(door, method)(REQUEST)
    assert value(registry, "budgetmem_steps_total", strategy="capacity", **FIRST) == 1
    assert value(registry, "budgetmem_request_cost_usd_count", strategy="capacity") == 0
    assert call.cost_usd == pytest.approx(sum(step.usage.cost_usd for step in STEPS))


async def test_so_is_what_a_cancelled_one_had_done(door, pipeline, registry, call):
    pipeline.takes_s = 60
    running = asyncio.create_task(door.extract(REQUEST))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert value(registry, "budgetmem_steps_total", strategy="capacity", **FIRST) == 1
    assert call.tenant == "acme"


async def test_observers_are_told_as_before(door):
    events = []
    await door.extract(REQUEST, events.append)
    assert [event.step for event in events if isinstance(event, StepEvent)] == list(STEPS)
    assert len(events) == 1 + len(STEPS)


async def test_work_outside_of_a_call_is_counted_too(door, registry):
    await door.extract(replace(REQUEST, tenant="other"))
    assert value(registry, "budgetmem_steps_total", strategy="implementation", **FIRST) == 1
