"""Ways to hand out work, each driven through the same cycle: submitted, dispatched, finished."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from budgetmem import _core
from budgetmem.scheduling import reference
from budgetmem.scheduling.interface import (
    ITEM,
    NEVER,
    BackbonePlan,
    Core,
    Items,
    Plan,
    QueuePlan,
    Scheduler,
)

QUEUES = 4
MINUTE = 60_000_000_000
WAIT_MS = 10_000


class Contender(Protocol):
    """`run` hands in one array after the other; each item is taken over when it is dispatched, and
    finished, before the next array comes."""

    def now(self) -> int:
        """Nanoseconds on its clock."""
        ...

    def run(self, arrays: Sequence[Items]) -> None: ...

    def close(self) -> None: ...


def plan(credits: int = 4096, waiting: int = 2**20) -> Plan:
    """One backbone with four queues, in which `waiting` items have room."""
    queue = QueuePlan(backbone=0, capacity=waiting, tenant_capacity=waiting)
    return Plan((BackbonePlan(credits=credits),), (queue,) * QUEUES, age_cap=MINUTE)


def work(count: int, tenants: int, *, marked: bool, now: int) -> Items:
    """`count` items over all queues and tenants; `marked` ones have prefix groups of three and
    deadlines a minute from `now`."""
    items = np.zeros(count, dtype=ITEM)
    number = np.arange(count)
    items["queue"] = number % QUEUES
    items["tenant"] = number % tenants
    items["tokens"] = 100 + number % 7 * 100
    items["born"] = now
    items["deadline"] = now + MINUTE if marked else NEVER
    items["group"] = number // 3 + 1 if marked else 0
    return items


class CoreContender:
    """A core, advanced by its caller. Time moves on by a microsecond a cycle."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._now = 0

    def now(self) -> int:
        return self._now

    def run(self, arrays: Sequence[Items]) -> None:
        for items in arrays:
            self._cycle(items)

    def close(self) -> None:
        self._core.close()

    def _cycle(self, items: Items) -> None:
        self._now += 1000
        ids, _ = self._core.submit(items, self._now)
        left = len(ids)
        while left:
            events = self._core.advance(self._now)
            left -= self._core.finish(np.ascontiguousarray(events["id"]), True, self._now)


class SchedulerContender:
    """A scheduler with a thread of its own: the caller sleeps until its descriptor is readable."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._readable = select.poll()
        self._readable.register(scheduler.fileno(), select.POLLIN)

    def now(self) -> int:
        return self._scheduler.now()

    def run(self, arrays: Sequence[Items]) -> None:
        for items in arrays:
            self._cycle(items)

    def close(self) -> None:
        self._scheduler.close()

    def _cycle(self, items: Items) -> None:
        ids, _ = self._scheduler.submit(items)
        left = len(ids)
        while left:
            if not self._readable.poll(WAIT_MS):
                raise TimeoutError("the scheduler dispatched nothing")
            events = self._scheduler.poll()
            left -= self._scheduler.finish(np.ascontiguousarray(events["id"]), True)


class AsyncioContender:
    """The usual batcher: an asyncio.Queue and a worker for each queue. The worker takes what is
    there without waiting, up to `batch`, and sets the futures. No tenants, groups or deadlines."""

    def __init__(self, batch: int = 256) -> None:
        self._batch = batch
        self._loop = asyncio.new_event_loop()
        self._queues: list[asyncio.Queue[asyncio.Future[None]]] = [
            asyncio.Queue() for _ in range(QUEUES)
        ]
        self._workers = [self._loop.create_task(self._serve(queue)) for queue in self._queues]

    def now(self) -> int:
        return 0

    def run(self, arrays: Sequence[Items]) -> None:
        self._loop.run_until_complete(self._hand_out(arrays))

    def close(self) -> None:
        for worker in self._workers:
            worker.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._workers, return_exceptions=True))
        self._loop.close()

    async def _hand_out(self, arrays: Sequence[Items]) -> None:
        for items in arrays:
            futures = []
            for queue in items["queue"].tolist():
                future: asyncio.Future[None] = self._loop.create_future()
                self._queues[queue].put_nowait(future)
                futures.append(future)
            await asyncio.gather(*futures)

    async def _serve(self, queue: asyncio.Queue[asyncio.Future[None]]) -> None:
        while True:
            batch = [await queue.get()]
            while len(batch) < self._batch and not queue.empty():
                batch.append(queue.get_nowait())
            for future in batch:
                if not future.done():
                    future.set_result(None)


CONTENDERS: dict[str, Callable[[], Contender]] = {
    "C++ core": lambda: CoreContender(_core.Core(plan())),
    "C++ scheduler": lambda: SchedulerContender(_core.Scheduler(plan())),
    "Python core": lambda: CoreContender(reference.Core(plan())),
    "asyncio.Queue": AsyncioContender,
}
