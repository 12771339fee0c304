from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from budgetmem.breakers import BreakerState
from server.observability.state import StateCollector
from tests.server.observability.samples import exposed, value

STATES = {
    "low": BreakerState.CLOSED,
    "mid": BreakerState.HALF_OPEN,
    "high": BreakerState.OPEN,
}


def test_it_tells_what_the_server_is_when_it_is_asked():
    ready, routers = [False], {"capacity": "capacity-00000001"}
    registry = CollectorRegistry()
    registry.register(StateCollector("tiny", lambda: ready[0], lambda: routers))
    assert value(registry, "budgetmem_ready") == 0
    ready[0] = True
    routers["capacity"] = "capacity-00000002"
    found = exposed(registry)
    assert found["budgetmem_ready"] == {(): 1}
    now = (("strategy", "capacity"), ("version", "capacity-00000002"))
    assert found["budgetmem_router_info"] == {now: 1}
    [build] = found["budgetmem_build_info"]
    assert dict(build)["profile"] == "tiny"
    assert "budgetmem_breaker_state" not in found


@pytest.mark.parametrize(("backbone", "state"), [("low", 0), ("mid", 1), ("high", 2)])
def test_breakers_have_a_place(backbone, state):
    registry = CollectorRegistry()
    registry.register(StateCollector("tiny", lambda: True, dict, lambda: STATES))
    assert exposed(registry)["budgetmem_breaker_state"][("backbone", backbone),] == state
