"""The delay that the C++ scheduler itself adds, with credits to spare.

    python -m benchmarks.queueing > build/queueing.json

One thread submits on a schedule, sleeps on the descriptor in between, and polls what is readable:
open loop, in arrays of 64 at half of the rate at which it saturates, and one by one at 1,000/s.
Delays run from when an item was due, and from when its submit was called, until its event was read.
`inside` is the scheduler's own histogram, from admission to dispatch (upper bounds of its buckets).
"""

from __future__ import annotations

import argparse
import json
import select
import sys
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders import SchedulerContender, plan, work
from benchmarks.machine import describe
from budgetmem import _core
from budgetmem.scheduling.histograms import quantile
from budgetmem.scheduling.interface import Ids

ARRAY = 64
SINGLES_PER_S = 1000.0
TENANTS = 8
QUANTILES = {"p50": 0.5, "p99": 0.99}
CREDITS = 2**20

Seconds = NDArray[np.float64]


class Driver:
    """Submits arrays of `size` on one thread, and notes when; what it costs comes afterwards.

    Times are seconds of time.monotonic().
    """

    def __init__(self, size: int) -> None:
        self.scheduler = _core.Scheduler(plan(credits=CREDITS))
        self._items = work(size, TENANTS, marked=False, now=self.scheduler.now())
        self._submitted: list[tuple[Ids, float, float]] = []
        self._read: list[tuple[Ids, float]] = []
        self._waiting = 0

    def offer(self, rate: float, seconds: float) -> float:
        """Submits `rate` items/s for so long; returns the items/s that came through."""
        begin = time.monotonic()
        size = len(self._items)
        count = int(rate * seconds / size)
        for number in range(count):
            due = begin + number * size / rate
            while (wait := due - time.monotonic()) > 0:
                self._poll(wait)
            at = time.monotonic()
            ids, _ = self.scheduler.submit(self._items)
            self._submitted.append((ids, due, at))
            self._waiting += size
            self._poll(0)
        while self._waiting:
            self._poll(1.0)
        return count * size / (time.monotonic() - begin)

    def delays(self) -> tuple[Seconds, Seconds]:
        """From when each item was due, and from its submit, until its event was read."""
        read_ids = np.concatenate([ids for ids, _ in self._read])
        read = np.repeat([at for _, at in self._read], [len(ids) for ids, _ in self._read])
        ids = np.concatenate([ids for ids, _, _ in self._submitted])
        sizes = [len(ids) for ids, _, _ in self._submitted]
        due = np.repeat([due for _, due, _ in self._submitted], sizes)
        at = np.repeat([at for _, _, at in self._submitted], sizes)
        # Both in the order of ids: each item is submitted once and read once.
        read = read[np.argsort(read_ids)]
        order = np.argsort(ids)
        return read - due[order], read - at[order]

    def _poll(self, wait: float) -> None:
        if not select.select([self.scheduler.fileno()], [], [], wait)[0]:
            return
        ids = np.ascontiguousarray(self.scheduler.poll()["id"])
        self._read.append((ids, time.monotonic()))
        self._waiting -= self.scheduler.finish(ids, True)


def main() -> None:
    """Measures both and prints JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=10)
    seconds = parser.parse_args().seconds
    saturation = saturated(seconds / 2)
    report = {
        "machine": describe(),
        "seconds": seconds,
        "saturation_per_s": saturation,
        "arrays": delays(ARRAY, saturation / 2, seconds),
        "singles": delays(1, SINGLES_PER_S, seconds),
    }
    json.dump(report, sys.stdout, indent=2)
    print()


def saturated(seconds: float) -> float:
    """Items/s in arrays of 64, each submitted, dispatched and finished before the next."""
    scheduler = _core.Scheduler(plan(credits=CREDITS))
    contender = SchedulerContender(scheduler)
    arrays = [work(ARRAY, TENANTS, marked=False, now=scheduler.now())]
    begin = time.monotonic()
    count = 0
    while (passed := time.monotonic() - begin) < seconds:
        contender.run(arrays)
        count += 1
    contender.close()
    return count * ARRAY / passed


def delays(size: int, rate: float, seconds: float) -> dict[str, object]:
    """Delays in microseconds at `rate` items/s, submitted `size` at a time."""
    driver = Driver(size)
    achieved = driver.offer(rate, seconds)
    driver.scheduler.close()
    from_due, from_submit = driver.delays()
    inside = np.sum([stats["queued"] for stats in driver.scheduler.queue_stats()], axis=0)
    return {
        "items_per_array": size,
        "offered_per_s": rate,
        "achieved_per_s": achieved,
        "items": len(from_due),
        "from_due_us": _microseconds(from_due),
        "from_submit_us": _microseconds(from_submit),
        "inside_us": {name: quantile(inside, q) / 1e3 for name, q in QUANTILES.items()},
    }


def _microseconds(seconds: Seconds) -> dict[str, float]:
    return {name: float(np.quantile(seconds, q)) * 1e6 for name, q in QUANTILES.items()}


if __name__ == "__main__":
    main()
