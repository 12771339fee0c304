"""The reference core with a clock and a thread: what `budgetmem._core.Scheduler` is in C++."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from budgetmem.errors import InvalidInput
from budgetmem.scheduling.interface import EVENT, NEVER, Events, Ids, Items, Plan
from budgetmem.scheduling.reference import Core


class Clock(Protocol):
    """Nanoseconds. The C++ `budgetmem._core.ManualClock` is one too."""

    def now(self) -> int: ...


class ManualClock:
    """Stands still until it is advanced, which wakes the schedulers that use it."""

    def __init__(self, start: int = 0) -> None:
        self._now = start
        self._lock = threading.Lock()
        self._wakers: list[weakref.WeakMethod[Callable[[], None]]] = []

    def now(self) -> int:
        """Nanoseconds."""
        return self._now

    def advance(self, ns: int) -> None:
        """Lets time pass. Raises InvalidInput if it is negative."""
        if ns < 0:
            raise InvalidInput("by", "must not be negative")
        with self._lock:
            self._now = min(NEVER, self._now + ns)
            wakers = [wake for waker in self._wakers if (wake := waker()) is not None]
        for wake in wakers:
            wake()

    def on_advance(self, wake: Callable[[], None]) -> None:
        """Calls the bound method `wake` after each advance, for as long as its object lives."""
        with self._lock:
            self._wakers.append(weakref.WeakMethod(wake))


class ReferenceScheduler:
    """Implements interface.Scheduler. Close it: the thread keeps it alive until then.

    Without a clock, time is time.monotonic_ns() and timers are waited for. A ManualClock wakes the
    thread when it is advanced. Any other held clock cannot wake it: a timer that has come is seen
    at the next call of submit, first_token, finish or set_credits.
    """

    def __init__(self, plan: Plan, clock: Clock | None = None) -> None:
        self._core = Core(plan)
        self._clock = clock
        self._changed = threading.Condition()
        self._stale = False
        self._stopping = False
        self._outbox: list[Events] = []
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._fd)
        if isinstance(clock, ManualClock):
            clock.on_advance(self._wake)
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def submit(self, items: Items) -> tuple[Ids, NDArray[np.uint8]]:
        """Admits what there is room for."""
        with self._changed:
            answer = self._core.submit(items, self.now())
            self._wake_locked()
        return answer

    def first_token(self, ids: Ids) -> None:
        """These prompts have been read."""
        with self._changed:
            self._core.first_token(ids)
            self._wake_locked()

    def finish(self, ids: Ids, ok: bool) -> int:
        """Ends items in flight."""
        with self._changed:
            finished = self._core.finish(ids, ok, self.now())
            self._wake_locked()
        return finished

    def cancel(self, ids: Ids) -> int:
        """Takes back items that wait."""
        with self._changed:
            return self._core.cancel(ids)

    def poll(self) -> Events:
        """The events since the last poll, in order."""
        with self._changed:
            if not self._outbox:
                return np.empty(0, dtype=EVENT)
            os.eventfd_read(self._fd)
            events = np.concatenate(self._outbox)
            self._outbox.clear()
        return events

    def fileno(self) -> int:
        """Readable while there are events to poll."""
        return self._fd

    def now(self) -> int:
        """Nanoseconds of the clock."""
        return time.monotonic_ns() if self._clock is None else self._clock.now()

    def set_credits(self, backbone: int, credits: int) -> None:
        """How many dispatches may be in flight."""
        with self._changed:
            self._core.set_credits(backbone, credits)
            self._wake_locked()

    def close(self) -> None:
        """Refuses new work, tells what waits, and ends the thread. Finish and poll still work."""
        with self._changed:
            if not self._core.closed:
                self._tell(self._core.close())
            self._stopping = True
            self._wake_locked()
        self._thread.join()

    def queue_stats(self) -> list[dict[str, Any]]:
        """A dict a queue."""
        with self._changed:
            return self._core.queue_stats()

    def backbone_stats(self) -> list[dict[str, int]]:
        """A dict a backbone."""
        with self._changed:
            return self._core.backbone_stats()

    def _wake(self) -> None:
        with self._changed:
            self._wake_locked()

    def _wake_locked(self) -> None:
        self._stale = True
        self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._stopping:
                self._stale = False
                self._tell(self._core.advance(self.now()))
                self._changed.wait_for(lambda: self._stale, self._seconds_to_timer())

    def _seconds_to_timer(self) -> float | None:
        timer = self._core.next_timer()
        if self._clock is not None or timer == NEVER:
            return None
        seconds = max(0, timer - self.now()) / 1e9
        return min(seconds, threading.TIMEOUT_MAX)

    def _tell(self, events: Events) -> None:
        if not len(events):
            return
        if not self._outbox:
            os.eventfd_write(self._fd, 1)
        self._outbox.append(events)
