"""The wall clock goes back and forth: deadlines, waits and breakers go by the other one."""

from __future__ import annotations

import ast
import itertools
import time
from pathlib import Path

import pytest

pytest.importorskip("budgetmem._core", reason="the C++ core is not built")

import budgetmem
import server
from budgetmem.breakers import Breaker, BreakerLimits, BreakerState
from budgetmem.errors import BackboneUnavailable
from budgetmem.types import Budget
from tests.server.observability.house import HISTORY, QUESTION, house

pytestmark = pytest.mark.timeout(600)

DAY_S = 86_400.0

BY_THE_WALL_CLOCK = {"budgetmem/endpoints/failures.py"}
"""An endpoint may say by a date when to come back."""


@pytest.fixture
def jumping(monkeypatch):
    """Every look at the wall clock finds it a day, a year or a decade from where it was."""
    real = time.time
    jumps = itertools.cycle([DAY_S, -365 * DAY_S, 3650 * DAY_S, -DAY_S, 0.0])
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))


@pytest.mark.usefixtures("jumping")
async def test_requests_are_answered_in_their_time(tmp_path):
    async with house(tmp_path) as built, built.client() as client:
        for _ in range(10):
            budget = Budget(max_latency_ms=60_000.0)
            memory = await client.extract(HISTORY, QUESTION, budget=budget, timeout_s=60)
            steps = memory.receipt.steps
            reasons = {reason for step in steps for reason in step.choice.masked.values()}
            assert memory.text
            assert 0 <= memory.receipt.total.milliseconds < 60_000
            assert not reasons & {"deadline", "latency"}
            assert not any(step.fallbacks for step in steps)


@pytest.mark.usefixtures("jumping")
def test_a_breaker_rests_by_the_clock_that_does_not_jump():
    breaker = Breaker("model", BreakerLimits(failures=1, rest_s=3600.0))
    with pytest.raises(BackboneUnavailable), breaker.call():
        raise BackboneUnavailable("away")
    assert [breaker.state for _ in range(10)] == [BreakerState.OPEN] * 10
    assert 0 <= breaker.idle_s < 3600.0


def test_nothing_else_measures_time_by_the_wall_clock():
    """For what the jumps above do not reach: a default that was taken before them, for example."""
    found = {
        str(file.relative_to(root.parent))
        for root in (Path(package.__file__).parent for package in (budgetmem, server))
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "time.time"
    }
    assert found == BY_THE_WALL_CLOCK
