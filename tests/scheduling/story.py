"""Items by name on a core of one queue, and what becomes of them in words."""

from collections.abc import Iterable

import numpy as np

from budgetmem.scheduling.interface import (
    ITEM,
    NEVER,
    Admission,
    BackbonePlan,
    Core,
    EventKind,
    Plan,
    QueuePlan,
)
from budgetmem.scheduling.reference import Core as ReferenceCore

_WORDS = {EventKind.EXPIRED: "expired", EventKind.CLOSED: "closed"}


def item_rows(*rows: dict[str, int]) -> np.ndarray:
    """An array of ITEM; a row without fields is one token of queue 0, no group and no deadline."""
    items = np.zeros(len(rows), dtype=ITEM)
    items["deadline"] = NEVER
    items["tokens"] = 1
    for index, row in enumerate(rows):
        for field, value in row.items():
            items[index][field] = value
    return items


def id_array(ids: Iterable[int]) -> np.ndarray:
    return np.array(list(ids), dtype=np.uint64)


def one_queue(
    *,
    capacity: int = 100,
    tenant_capacity: int = 100,
    quantum: int = 10,
    age_cap: int = 0,
    **fields,
) -> Plan:
    """A plan of one queue; `fields` are those of its backbone, of one credit if not said."""
    return Plan(
        backbones=(BackbonePlan(**{"credits": 1, **fields}),),
        queues=(QueuePlan(0, capacity, tenant_capacity),),
        quantum=quantum,
        age_cap=age_cap,
    )


class Story:
    def __init__(self, plan: Plan, core: Core | None = None) -> None:
        self.core = core or ReferenceCore(plan)
        self._names: dict[int, str] = {}
        self._ids: dict[str, int] = {}

    def submit(self, names: str, now: int = 0, **fields: int) -> list[Admission]:
        """Submits items of these fields, one for each of the names; returns the answers."""
        wanted = names.split()
        ids, answers = self.core.submit(item_rows(*[fields] * len(wanted)), now)
        for name, number in zip(wanted, ids.tolist(), strict=True):
            if number:
                self._names[number], self._ids[name] = name, number
        return [Admission(answer) for answer in answers]

    def advance(self, now: int = 0) -> str:
        """What happened: "1: a b, 2: c" are two dispatches, "a expired" is an item dropped."""
        return self._tell(self.core.advance(now))

    def close(self) -> str:
        return self._tell(self.core.close())

    def first_token(self, names: str) -> None:
        self.core.first_token(self._numbers(names))

    def finish(self, names: str, ok: bool = True, now: int = 0) -> int:
        return self.core.finish(self._numbers(names), ok, now)

    def cancel(self, names: str) -> int:
        return self.core.cancel(self._numbers(names))

    def run(self, names: str, now: int = 0) -> str:
        """Finishes these and advances."""
        assert self.finish(names, now=now) == len(names.split())
        return self.advance(now)

    def order(self, now: int = 0) -> str:
        """Every dispatch there is, one after the other, each finished at once."""
        told = []
        while step := self.advance(now):
            told.append(step.split(": ")[1])
            self.finish(told[-1], now=now)
        return ", ".join(told)

    def queue(self) -> dict:
        return self.core.queue_stats()[0]

    def backbone(self) -> dict[str, int]:
        return self.core.backbone_stats()[0]

    def _numbers(self, names: str) -> np.ndarray:
        return id_array(self._ids[name] for name in names.split())

    def _tell(self, events: np.ndarray) -> str:
        told: list[str] = []
        last_batch = 0
        for number, batch, kind in events.tolist():
            name = self._names[number]
            if kind != EventKind.DISPATCHED:
                assert batch == 0
                told.append(f"{name} {_WORDS[EventKind(kind)]}")
            elif batch == last_batch:
                told[-1] += f" {name}"
            else:
                told.append(f"{batch}: {name}")
            last_batch = batch
        return ", ".join(told)
