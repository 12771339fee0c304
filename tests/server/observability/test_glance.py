"""The few metrics that people watch, of a whole server over scripted models."""

from __future__ import annotations

import pytest

pytest.importorskip("budgetmem._core", reason="the C++ core is not built")

from server.observability.glance import FAMILIES, NAMES, at_a_glance
from tests.server.observability.house import HISTORY, QUESTION, house

pytestmark = pytest.mark.timeout(600)


async def test_they_are_those_of_the_registry_without_buckets_and_without_names(tmp_path):
    async with house(tmp_path) as built, built.client() as client:
        await client.extract(HISTORY, QUESTION)
        told = await client.metrics()
        seen = at_a_glance(built.seen.registry)
    values = {(each.name, *sorted(each.labels.values())): each.value for each in told}
    assert values["budgetmem_requests_total", "Extract", "OK"] == 1
    assert values["budgetmem_requests_in_flight", "GetMetrics"] == 1
    assert values["budgetmem_tokens_total", "filter", "input"] > 0
    assert values["budgetmem_queue_delay_seconds_count", "pipeline", "request"] == 1
    assert {each.name for each in told} <= NAMES
    assert {each.name for each in told} == {each.name for each in seen}
    assert len(told) < 300
    assert HISTORY not in str(told)


def test_every_family_has_its_names():
    assert len(NAMES) == len(FAMILIES) + 2
