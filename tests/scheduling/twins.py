"""Drives the reference and the C++ core through the same operations, and compares everything."""

from collections import Counter
from typing import Any

import numpy as np

from budgetmem import _core
from budgetmem.scheduling import reference
from budgetmem.scheduling.interface import EventKind, Plan

from .story import id_array, item_rows
from .workloads import Advance, Close, OnIds, Operation, SetCredits, Submit

STRANGE_IDS = (0, 2**33 + 5, 2**64 - 1)


class Twins:
    """Both cores. Items are known by the ids of the reference, which count acceptances."""

    def __init__(self, plan: Plan, now: int = 1000) -> None:
        self.reference = reference.Core(plan)
        self.native = _core.Core(plan)
        self.now = now
        self.events = 0
        self._plan = plan
        self._native_ids: list[int] = []  # by reference id, less 1
        self._reference_ids: dict[int, int] = {}
        self._in_flight: dict[int, None] = {}

    def apply(self, operation: Operation) -> None:
        match operation:
            case Submit(rows):
                self._submit(rows)
            case OnIds():
                self._on_ids(operation)
            case SetCredits(backbone, credits):
                backbone %= len(self._plan.backbones)
                self.reference.set_credits(backbone, credits)
                self.native.set_credits(backbone, credits)
            case Advance(by):
                self.now += self._to_timer() if by is None else by
                self._compare(self.reference.advance(self.now), self.native.advance(self.now))
            case Close():
                self._compare(self.reference.close(), self.native.close())
        self._compare_state()

    def counts(self) -> Counter[str]:
        """Over all queues and backbones, how often each thing has happened."""
        all_stats = [*self.reference.queue_stats(), *self.reference.backbone_stats()]
        now = {"waiting", "in_flight", "credits", "credits_in_use"}
        return Counter(
            {
                name: sum(stats.get(name, 0) for stats in all_stats)
                for name in set().union(*all_stats) - now
                if not isinstance(all_stats[0].get(name), np.ndarray)
            }
        )

    def _submit(self, rows: tuple[dict[str, int], ...]) -> None:
        items = item_rows(*rows)
        items["queue"] %= len(self._plan.queues)
        items["born"] += self.now
        items["deadline"][items["deadline"] < 2**32] += self.now
        ids, answers = self.reference.submit(items, self.now)
        native_ids, native_answers = self.native.submit(items, self.now)
        assert answers.tolist() == native_answers.tolist()
        for number, native in zip(ids.tolist(), native_ids.tolist(), strict=True):
            assert (number == 0) == (native == 0)
            if number:
                assert number == len(self._native_ids) + 1
                assert native not in self._reference_ids
                self._native_ids.append(native)
                self._reference_ids[native] = number

    def _on_ids(self, operation: OnIds) -> None:
        known = (
            list(self._in_flight) if operation.in_flight else range(1, len(self._native_ids) + 1)
        )
        if not known:
            self._both(operation, STRANGE_IDS, STRANGE_IDS)
            return
        ids = [known[-1 - pick % len(known)] for pick in operation.picks]
        self._both(operation, ids, [self._native_ids[number - 1] for number in ids])

    def _both(self, operation: OnIds, ids: Any, native_ids: Any) -> None:
        more = (operation.ok, self.now) if operation.call == "finish" else ()
        answer = getattr(self.reference, operation.call)(id_array(ids), *more)
        assert getattr(self.native, operation.call)(id_array(native_ids), *more) == answer
        if operation.call == "finish":
            for number in ids:
                self._in_flight.pop(number, None)

    def _to_timer(self) -> int:
        wait = self.reference.next_timer() - self.now
        return wait if 0 <= wait < 10**6 else 0

    def _compare(self, events: np.ndarray, native: np.ndarray) -> None:
        assert native.dtype == events.dtype
        expected = events.tolist()
        found = [
            (self._reference_ids[number], batch, kind) for number, batch, kind in native.tolist()
        ]
        assert found == expected
        self.events += len(expected)
        for number, _, kind in expected:
            if kind == EventKind.DISPATCHED:
                self._in_flight[number] = None

    def _compare_state(self) -> None:
        assert self.native.next_timer() == self.reference.next_timer()
        assert self.native.closed is self.reference.closed
        assert list(self.native.backbone_stats()) == self.reference.backbone_stats()
        queues = zip(self.native.queue_stats(), self.reference.queue_stats(), strict=True)
        for native, stats in queues:
            assert native.keys() == stats.keys()
            for name, value in stats.items():
                if isinstance(value, np.ndarray):
                    assert native[name].dtype == value.dtype
                    assert native[name].tobytes() == value.tobytes()
                else:
                    assert native[name] == value, name
