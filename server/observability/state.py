"""What a server is at this moment, read when Prometheus asks."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from budgetmem.info import installed_version
from server.observability import catalogue

BreakerState = Literal["closed", "half_open", "open"]

BREAKER_VALUES: Mapping[str, int] = {"closed": 0, "half_open": 1, "open": 2}


class Breakers(Protocol):
    """Circuit breakers, by the profile key of the backbone that each guards. Any thread may ask."""

    def states(self) -> Mapping[str, BreakerState]: ...


class NoBreakers:
    """No backbone has one."""

    def states(self) -> Mapping[str, BreakerState]:
        return {}


@dataclass(frozen=True, eq=False)
class StateCollector(Collector):
    """Collects of a server. `ready` and `routers` may be called from any thread.

    `routers` is the version of each strategy's router.
    """

    profile: str
    ready: Callable[[], bool]
    routers: Callable[[], Mapping[str, str]]
    breakers: Breakers = field(default_factory=NoBreakers)

    def collect(self) -> Iterator[Metric]:
        build = (installed_version(), self.profile, platform.python_version())
        yield catalogue.BUILD_INFO.gauged([(build, 1)])
        yield catalogue.READY.gauged([((), int(self.ready()))])
        yield catalogue.ROUTER_INFO.gauged((of, 1) for of in self.routers().items())
        yield catalogue.BREAKER_STATE.gauged(
            ((name,), BREAKER_VALUES[at]) for name, at in self.breakers.states().items()
        )
