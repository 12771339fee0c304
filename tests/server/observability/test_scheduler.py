"""The scheduler's own counters on /metrics: exact, and read from another thread."""

from __future__ import annotations

import asyncio
from bisect import bisect_left

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from budgetmem.config import load_profile
from budgetmem.errors import Overloaded
from budgetmem.scheduling.histograms import BUCKETS, bucket_of
from budgetmem.scheduling.tier_scheduler import Work
from server.assembly import open_scheduler
from server.observability.scheduler import SchedulerCollector, seconds
from tests.server.observability.samples import exposed, value
from tests.server.test_admission import profile

ENCODER = {"stage": "ingest", "model": "encoder"}
DOOR = {"stage": "request", "model": "pipeline"}


@given(st.lists(st.integers(0, 2**40)))
def test_times_are_counted_exactly_up_to_every_edge(times):
    histogram = np.zeros(BUCKETS, np.uint64)
    for time in times:
        histogram[bucket_of(time)] += 1
    ordered = sorted(times)
    *edges, (last, count) = seconds(histogram)
    assert (last, count) == ("+Inf", len(times))
    for edge, reached in edges:
        # Whole nanoseconds: up to an edge that is a power of two is below it.
        assert reached == bisect_left(ordered, round(float(edge) * 1e9))


async def doubled(batch):
    return [2 * each for each in batch]


async def test_waits_batches_and_refusals_are_told():
    registry = CollectorRegistry()
    async with open_scheduler(profile(requests=1, tenant_capacity=1)) as scheduler:
        registry.register(SchedulerCollector(scheduler.stats))
        works = [Work(("ingest", "encoder"), "acme", 8)] * 20
        assert await scheduler.map(works, list(range(20)), doubled) == list(range(0, 40, 2))
        go = asyncio.Event()
        place = Work(("request", "pipeline"), "acme")
        running = asyncio.ensure_future(scheduler.run(place, lambda _: go.wait()))
        await asyncio.sleep(0.05)
        waiting = asyncio.ensure_future(scheduler.run(place, lambda _: go.wait()))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await scheduler.run(place, lambda _: go.wait())
        found = await asyncio.to_thread(exposed, registry)
        go.set()
        await asyncio.gather(running, waiting)
    at = tuple(sorted(DOOR.items()))
    assert found["budgetmem_queue_depth"][at] == 1
    assert found["budgetmem_queue_in_flight"][at] == 1
    assert value(registry, "budgetmem_queue_refusals_total", **DOOR, reason="full") == 1
    assert value(registry, "budgetmem_queue_items_total", **DOOR, outcome="finished") == 2
    assert value(registry, "budgetmem_queue_items_total", **ENCODER, outcome="finished") == 20
    assert value(registry, "budgetmem_queue_delay_seconds_count", **ENCODER) == 20
    assert value(registry, "budgetmem_queue_service_seconds_sum", **ENCODER) > 0
    assert value(registry, "budgetmem_batch_items_sum", model="encoder") == 20
    assert value(registry, "budgetmem_batch_items_bucket", model="encoder", le="32.0") >= 1
    assert value(registry, "budgetmem_credits", model="pipeline") == 1
    assert value(registry, "budgetmem_credits_in_use", model="pipeline") == 0


async def test_prefix_groups_are_told_by_leaders_and_siblings_and_by_size():
    registry = CollectorRegistry()
    async with open_scheduler(load_profile("tiny")) as scheduler:
        registry.register(SchedulerCollector(scheduler.stats))

        async def call(on_first_token):
            on_first_token()

        work = Work(("extract", "all"), "acme", 100, prefix="the same memories")
        await asyncio.gather(*(scheduler.run(work, call) for _ in range(3)))
    leaders = value(registry, "budgetmem_prefix_leaders_total", model="all")
    siblings = value(registry, "budgetmem_prefix_siblings_total", model="all")
    assert leaders + siblings == 3
    assert leaders >= 1
    assert value(registry, "budgetmem_prefix_group_calls_sum", model="all") == 3
    assert value(registry, "budgetmem_prefix_group_calls_count", model="all") == 1


async def test_series_are_of_the_profiles_queues_and_no_more():
    registry = CollectorRegistry()
    async with open_scheduler(load_profile("tiny")) as scheduler:
        registry.register(SchedulerCollector(scheduler.stats))
        for tenant in range(50):
            place = Work(("request", "pipeline"), f"tenant-{tenant}")
            await scheduler.run(place, lambda _: asyncio.sleep(0))
    depths = exposed(registry)["budgetmem_queue_depth"]
    assert len(depths) == 4 + 5 + 5 + 1  # the LLM's stages; the encoder's; the tagger's; the door
