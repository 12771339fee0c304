"""The event loop in virtual time: arrivals, the core, the engine; five calls in three stages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.load.arrivals import Arrival
from benchmarks.load.measures import OK, REFUSED, Sample
from benchmarks.simulation.engines import Job, open_engine
from benchmarks.simulation.parameters import NANOSECONDS, QUERY, Arm, Batching, Call, Setup
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

EXPIRED = "DEADLINE_EXCEEDED"
OpenCore = Callable[[Plan], Core]


@dataclass(eq=False)
class _Query:
    """One query under way; `waiting` and `running` are ids of its calls."""

    number: int
    arrival: Arrival
    tenant: int
    born: int
    stage: int = 0
    waiting: set[int] = field(default_factory=set)
    running: set[int] = field(default_factory=set)
    ended: bool = False


def simulate(
    setup: Setup, arm: Arm, arrivals: Sequence[Arrival], open_core: OpenCore
) -> list[Sample]:
    """A sample for each arrival, in the order in which they ended."""
    return _Simulation(setup, arm, arrivals, open_core).run()


def plan_of(setup: Setup, arm: Arm) -> Plan:
    """One backbone with a queue for each stage."""
    batch = setup.model.items if isinstance(setup.model, Batching) else 1
    tenant_capacity = setup.tenant_capacity if arm.fair else setup.capacity
    backbone = BackbonePlan(
        credits=setup.credits,
        batch_items=batch,
        leader_timeout=round(setup.leader_timeout_s * NANOSECONDS),
    )
    queue = QueuePlan(0, setup.capacity, tenant_capacity)
    return Plan((backbone,), (queue,) * len(QUERY), quantum=setup.quantum)


class _Simulation:
    def __init__(
        self, setup: Setup, arm: Arm, arrivals: Sequence[Arrival], open_core: OpenCore
    ) -> None:
        self._setup = setup
        self._arm = arm
        self._arrivals = arrivals
        self._core = open_core(plan_of(setup, arm))
        self._engine = open_engine(setup.model, setup.instances)
        self._tenants = {name: n for n, name in enumerate(sorted({a.tenant for a in arrivals}))}
        self._calls: dict[int, tuple[_Query, Call]] = {}
        self._samples: list[Sample] = []
        self._now = 0

    def run(self) -> list[Sample]:
        due = [(round(arrival.at * NANOSECONDS), arrival) for arrival in self._arrivals]
        position = 0
        while True:
            arrives = due[position][0] if position < len(due) else NEVER
            # A timer of the core may lie in the past already: time does not go back.
            timer = max(self._now, self._core.next_timer())
            happens = self._engine.next_event()
            self._now = min(arrives, timer, NEVER if happens is None else happens)
            if self._now == NEVER:
                return self._samples
            if happens == self._now:
                self._progress()
            while position < len(due) and due[position][0] == self._now:
                self._begin(position, due[position][1])
                position += 1
            self._dispatch()

    def _begin(self, number: int, arrival: Arrival) -> None:
        self._submit(_Query(number, arrival, self._tenants[arrival.tenant], self._now))

    def _submit(self, query: _Query) -> None:
        calls = QUERY[query.stage]
        items = np.zeros(len(calls), dtype=ITEM)
        items["queue"] = query.stage
        items["tokens"] = [call.tokens for call in calls]
        items["born"] = query.born if self._arm.fair else self._now
        items["tenant"] = query.tenant if self._arm.fair else 0
        items["deadline"] = query.born + round(self._setup.timeout_s * NANOSECONDS)
        if self._arm.groups:
            items["group"] = [query.number + 1 if call.shared else 0 for call in calls]
        ids, answers = self._core.submit(items, self._now)
        for id_, call in zip(ids.tolist(), calls, strict=True):
            if id_:
                self._calls[id_] = (query, call)
                query.waiting.add(id_)
        if (answers != Admission.ACCEPTED).any():
            late = (answers == Admission.INFEASIBLE).any()
            self._end(query, EXPIRED if late else REFUSED)

    def _progress(self) -> None:
        progress = self._engine.advance(self._now)
        if progress.first_tokens:
            self._core.first_token(np.array(progress.first_tokens, dtype=np.uint64))
        if not progress.finished:
            return
        self._core.finish(np.array(progress.finished, dtype=np.uint64), True, self._now)
        for id_ in progress.finished:
            query, _ = self._calls.pop(id_)
            query.running.discard(id_)
            if not (query.ended or query.running or query.waiting):
                self._next_stage(query)

    def _next_stage(self, query: _Query) -> None:
        query.stage += 1
        if query.stage == len(QUERY):
            self._end(query, OK)
        else:
            self._submit(query)

    def _dispatch(self) -> None:
        batches: defaultdict[int, list[Job]] = defaultdict(list)
        for id_, batch, kind in self._core.advance(self._now).tolist():
            query, call = self._calls[id_]
            query.waiting.discard(id_)
            if kind == EventKind.DISPATCHED:
                query.running.add(id_)
                batches[batch].append(Job(id_, query.number, call))
            else:
                del self._calls[id_]
                self._end(query, EXPIRED)
        for jobs in batches.values():
            self._engine.start(jobs, self._now)

    def _end(self, query: _Query, status: str) -> None:
        """The query is over: what waits of it is taken back, what runs runs on for nothing."""
        if query.ended:
            return
        query.ended = True
        for id_ in sorted(query.waiting):
            # One that does not wait any more has its event yet to be handled.
            if self._core.cancel(np.array([id_], dtype=np.uint64)):
                query.waiting.remove(id_)
                del self._calls[id_]
        at = query.arrival.at
        finished = self._now / NANOSECONDS
        self._samples.append(Sample(query.arrival.tenant, at, at, finished, status))
