"""Circuit breakers: what keeps failing is left alone for a while, and then tried by a probe.

(Nygard, Release It!, 2007, chapter 5.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from budgetmem.errors import BackboneError, BackboneUnavailable


class BreakerState(Enum):
    """CLOSED lets every call through, OPEN none, HALF_OPEN a probe."""

    CLOSED = "closed"
    HALF_OPEN = "half-open"
    OPEN = "open"


@dataclass(frozen=True)
class BreakerLimits:
    """Opens after `failures` in a row, and lets probes through after `rest_s` seconds."""

    failures: int = 5
    rest_s: float = 5.0


class Breaker:
    """Of one model, by its name. `clock` returns seconds.

    Only BackboneUnavailable is a failure of the model: any other error may be the caller's doing,
    and must not keep others from it. Nor does a caller find out whether the model is back: what it
    waits for may take long, or be given up, which says nothing. That is for a probe, whose time is
    bound, and of which there is one at a time.
    """

    def __init__(
        self,
        name: str,
        limits: BreakerLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._limits = limits or BreakerLimits()
        self._clock = clock
        self._failures = 0
        self._opened = 0.0
        self._last_success = self._heard = clock()

    @property
    def state(self) -> BreakerState:
        """At this moment."""
        if self._failures < self._limits.failures:
            return BreakerState.CLOSED
        rested = self._clock() - self._opened >= self._limits.rest_s
        return BreakerState.HALF_OPEN if rested else BreakerState.OPEN

    @property
    def refuses(self) -> bool:
        """Whether a call that is no probe would not be let through."""
        return self.state is not BreakerState.CLOSED

    @property
    def idle_s(self) -> float:
        """Seconds since a call succeeded, or since the start."""
        return self._clock() - self._last_success

    @property
    def silence_s(self) -> float:
        """Seconds since the last sign of life: an answer of whatever kind, or the start."""
        return self._clock() - self._heard

    def heard(self) -> None:
        """A sign of life of a call that goes on: its first token."""
        self._heard = self._clock()

    def reset(self) -> None:
        """Forgets the failures: the model was started anew."""
        self._failures = 0
        self.heard()

    def fail(self) -> None:
        """Counts a failure that no call tells: whoever made the call knows that it was the model's
        doing."""
        self._failures += 1
        self._opened = self._clock()

    @contextmanager
    def call(self, *, probes: bool = False) -> Iterator[None]:
        """Around one call of the model. Raises BackboneUnavailable if it is not let through."""
        if self.state is BreakerState.OPEN or (self.refuses and not probes):
            raise BackboneUnavailable(
                f"{self.name} failed {self._failures} times in a row, and is tried again "
                f"{self._limits.rest_s:g} s after the last time: see the log of its server",
                reached=False,
            )
        try:
            yield
        except BackboneUnavailable:
            self.fail()
            raise
        except BackboneError:
            self.heard()
            raise
        else:
            self._failures = 0
            self._last_success = self._clock()
            self.heard()


@dataclass(frozen=True)
class Breakers:
    """The breakers of a profile's models, by the models' keys. None of an unknown key refuses."""

    by_model: Mapping[str, Breaker] = field(default_factory=dict)

    def refuses(self, model: str) -> bool:
        """Whether a call to this model would not be let through."""
        breaker = self.by_model.get(model)
        return breaker is not None and breaker.refuses

    def reset(self) -> None:
        """Closes all of them."""
        for breaker in self.by_model.values():
            breaker.reset()

    def states(self) -> Mapping[str, BreakerState]:
        """At this moment, by model."""
        return {model: breaker.state for model, breaker in self.by_model.items()}
