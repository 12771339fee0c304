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
from budgetmem.backbone import ScriptedBackbone
from budgetmem.breakers import Breaker, BreakerLimits, BreakerState
from budgetmem.errors import BackboneUnavailable
from budgetmem.tiers import Tier
from budgetmem.types import Budget
from tests.fakes import perfect
from tests.server.observability.house import HISTORY, QUESTION, house

pytestmark = pytest.mark.timeout(600)

DAY_S = 86_400.0

BY_THE_WALL_CLOCK = {"budgetmem/endpoints/failures.py"}
"""An endpoint may say by a date when to come back."""


class WallClock:
    """What time.time() tells: the time, as it was set last."""

    def __init__(self):
        self._real = time.time
        self._jumps = itertools.cycle([DAY_S, -365 * DAY_S, 3650 * DAY_S, -DAY_S])
        self.off = 0.0

    def __call__(self):
        return self._real() + self.off

    def jump(self):
        self.off = next(self._jumps)


@pytest.fixture
def clock(monkeypatch):
    told = WallClock()
    monkeypatch.setattr(time, "time", told)
    return told


async def test_requests_are_answered_in_their_time(tmp_path, clock):
    """The clock jumps whenever a model works; gRPC's own core, which cannot be lied to, and the
    client meet with it as it is."""

    def jumping(prompt):
        clock.jump()
        return perfect(prompt)

    backbone = ScriptedBackbone(jumping, name="backbone_low")
    async with house(tmp_path, {"all": backbone}) as built, built.client() as client:
        for _ in range(6):
            budget, clock.off = Budget(max_latency_ms=60_000.0), 0.0
            memory = await client.extract(
                HISTORY, QUESTION, strategy="capacity", tier=Tier.HIGH, budget=budget, timeout_s=60
            )
            assert clock.off != 0.0
            steps = memory.receipt.steps
            assert [step.choice.tier for step in steps] == [Tier.HIGH] * len(steps)
            assert 0 <= memory.receipt.total.milliseconds < 60_000
            assert not any(step.fallbacks for step in steps)


def test_a_breaker_rests_by_the_clock_that_does_not_jump(clock):
    breaker = Breaker("model", BreakerLimits(failures=1, rest_s=3600.0))
    with pytest.raises(BackboneUnavailable), breaker.call():
        raise BackboneUnavailable("away")
    for _ in range(4):
        clock.jump()
        assert breaker.state is BreakerState.OPEN
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
