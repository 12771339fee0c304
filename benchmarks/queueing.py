"""The delay that the C++ scheduler itself adds, with credits to spare.

    python -m benchmarks.queueing > build/queueing.json

One thread submits on a schedule, sleeps on the descriptor in between, and polls what is readable:
open loop, in arrays of 64 at half of the rate at which it saturates, and one by one at 1,000/s.
Delays run from when an item was due, and from when its submit was called, until its event was read;
`inside` is the scheduler's own histogram, from admission to dispatch. A time is an upper bound there.
"""

from __future__ import annotations

import argparse
import json
import select
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.contenders import SchedulerContender, plan, work
from benchmarks.machine import describe
from budgetmem import _core
from budgetmem.scheduling.histograms import quantile

ARRAY = 64
SINGLES_PER_S = 1000.0
TENANTS = 8
QUANTILES = (0.5, 0.99)


@dataclass
class Driver:
    """Submits arrays of `size` on one thread. Times are seconds of time.monotonic()."""

    size: int
    tenants: int = TENANTS
    scheduler: _core.Scheduler = field(default_factory=lambda: _core.Scheduler(plan()))
    from_due: list[float] = field(default_factory=list)
    from_submit: list[float] = field(default_factory=list)

    def offer(self, rate: float, seconds: float) -> float:
        """Submits `rate` items/s for so long; returns the items/s that were dispatched."""
        begin = time.monotonic()
        times: dict[int, tuple[float, float]] = {}
        for due in self._schedule(begin, rate, seconds):
            while (wait := due - time.monotonic()) > 0:
                self._read(times, wait)
            submitted = time.monotonic()
            items = work(self.size, self.tenants, marked=False, now=self.scheduler.now())
            ids, _ = self.scheduler.submit(items)
            times.update(dict.fromkeys(ids.tolist(), (due, submitted)))
            self._read(times, 0)
        while times:
            self._read(times, 1.0)
        return len(self.from_due) / (time.monotonic() - begin)

    def _schedule(self, begin: float, rate: float, seconds: float) -> Iterator[float]:
        for number in range(int(rate * seconds / self.size)):
            yield begin + number * self.size / rate

    def _read(self, times: dict[int, tuple[float, float]], wait: float) -> None:
        if not select.select([self.scheduler.fileno()], [], [], wait)[0]:
            return
        ids = np.ascontiguousarray(self.scheduler.poll()["id"])
        now = time.monotonic()
        for id_ in ids.tolist():
            due, submitted = times.pop(id_)
            self.from_due.append(now - due)
            self.from_submit.append(now - submitted)
        self.scheduler.finish(ids, True)


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
    scheduler = _core.Scheduler(plan())
    contender = SchedulerContender(scheduler)
    begin = time.monotonic()
    arrays = 0
    while (passed := time.monotonic() - begin) < seconds:
        contender.run([work(ARRAY, TENANTS, marked=False, now=scheduler.now())])
        arrays += 1
    contender.close()
    return arrays * ARRAY / passed


def delays(size: int, rate: float, seconds: float) -> dict[str, object]:
    """Delays in microseconds at `rate` items/s, submitted `size` at a time."""
    driver = Driver(size)
    achieved = driver.offer(rate, seconds)
    driver.scheduler.close()
    inside = sum(np.asarray(stats["queued"]) for stats in driver.scheduler.queue_stats())
    return {
        "items_per_array": size,
        "offered_per_s": rate,
        "achieved_per_s": achieved,
        "items": len(driver.from_due),
        "from_due_us": {f"p{q * 100:g}": _microseconds(driver.from_due, q) for q in QUANTILES},
        "from_submit_us": {
            f"p{q * 100:g}": _microseconds(driver.from_submit, q) for q in QUANTILES
        },
        "inside_us": {f"p{q * 100:g}": quantile(inside, q) / 1e3 for q in QUANTILES},
    }


def _microseconds(seconds: list[float], q: float) -> float:
    return float(np.quantile(seconds, q)) * 1e6


if __name__ == "__main__":
    main()
