"""What the tests of the asyncio face share: a scheduler that is watched, and calls that wait."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from budgetmem import _core
from budgetmem.scheduling import reference_scheduler
from budgetmem.scheduling.interface import BackbonePlan, Ids, Items, Plan, QueuePlan
from budgetmem.scheduling.tier_scheduler import TierScheduler, Work

SECOND = 1_000_000_000
"""Nanoseconds."""

ANSWER = ("answer", "high")
EXTRACT = ("extract", "high")
ENCODE = ("retrieve", "encoder")
QUEUES = {EXTRACT: 0, ANSWER: 1, ENCODE: 2}

CORES = {
    "cpp": (_core.Scheduler, _core.ManualClock),
    "reference": (reference_scheduler.ReferenceScheduler, reference_scheduler.ManualClock),
}


def plan(
    credits: int = 1,
    capacity: int = 100,
    tenant_capacity: int = 100,
    encoder: BackbonePlan | None = None,
    **high: int,
) -> Plan:
    """Two queues of model "high" and one of the encoder, which takes batches of four."""
    queues = [QueuePlan(backbone, capacity, tenant_capacity) for backbone in (0, 0, 1)]
    encoder = encoder or BackbonePlan(credits=credits, batch_items=4)
    return Plan((BackbonePlan(credits=credits, **high), encoder), tuple(queues))


class Watched:
    """A scheduler that keeps the arrays it was given."""

    def __init__(self, scheduler) -> None:
        self.scheduler = scheduler
        self.submitted: list[Items] = []
        self.finished: list[tuple[int, bool]] = []
        self.first_tokens: list[int] = []

    def __getattr__(self, name: str):
        return getattr(self.scheduler, name)

    def submit(self, items: Items):
        self.submitted.append(items)
        return self.scheduler.submit(items)

    def finish(self, ids: Ids, ok: bool) -> int:
        self.finished.append((len(ids), ok))
        return self.scheduler.finish(ids, ok)

    def first_token(self, ids: Ids) -> None:
        self.first_tokens.append(len(ids))
        self.scheduler.first_token(ids)


@dataclass
class Bench:
    """A TierScheduler over a watched core."""

    core: Watched
    clock: _core.ManualClock
    tiers: TierScheduler

    def counts(self, queue: tuple[str, str] = EXTRACT) -> dict[str, int]:
        """The counters of a queue that are not 0."""
        stats = self.tiers.stats().queues[queue]
        return {
            name: n for name, n in stats.items() if isinstance(n, int) and n and "_ns" not in name
        }

    async def until(self, queue: tuple[str, str] = EXTRACT, **counts: int) -> None:
        """Lets the loop turn until these counters have come that far."""
        await until(lambda: all(self.counts(queue).get(name, 0) >= n for name, n in counts.items()))


@dataclass
class Held:
    """A call that lasts until it is let go, and says what happened to it."""

    result: str = "done"
    go: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False

    async def __call__(self, on_first_token: Callable[[], None]) -> str:
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return self.result


def bench(core: str, of: Plan) -> Bench:
    scheduler, clock_of = CORES[core]
    clock = clock_of(1_000_000_000)
    watched = Watched(scheduler(of, clock))
    return Bench(watched, clock, TierScheduler(watched, QUEUES))


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop turn until the condition holds."""
    while not condition():
        await asyncio.sleep(0)


def call_of(result: object = "done"):
    """A call that returns at once."""

    async def call(on_first_token: Callable[[], None]) -> object:
        return result

    return call


def extract(**fields) -> Work:
    return Work(EXTRACT, **fields)


def sizes(arrays: list[np.ndarray]) -> list[int]:
    return [len(array) for array in arrays]
