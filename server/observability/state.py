"""What a server is at this moment, read when Prometheus asks."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from budgetmem.breakers import BreakerState
from budgetmem.version import installed_version
from server.observability import catalogue

BREAKER_VALUES: Mapping[BreakerState, int] = {
    BreakerState.CLOSED: 0,
    BreakerState.HALF_OPEN: 1,
    BreakerState.OPEN: 2,
}


@dataclass(frozen=True, eq=False)
class StateCollector(Collector):
    """Collects of a server. The callables may be called from any thread.

    `routers` gives the version of each strategy's router, `breakers` the state of each model's
    circuit breaker.
    """

    profile: str
    ready: Callable[[], bool]
    routers: Callable[[], Mapping[str, str]]
    breakers: Callable[[], Mapping[str, BreakerState]] = dict

    def collect(self) -> Iterator[Metric]:
        build = (installed_version(), self.profile, platform.python_version())
        yield catalogue.BUILD_INFO.gauged([(build, 1)])
        yield catalogue.READY.gauged([((), int(self.ready()))])
        yield catalogue.ROUTER_INFO.gauged((of, 1) for of in self.routers().items())
        yield catalogue.BREAKER_STATE.gauged(
            ((name,), BREAKER_VALUES[at]) for name, at in self.breakers().items()
        )
