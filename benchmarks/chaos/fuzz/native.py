"""The C++ behind budgetmem._core: any calls with any arguments, in any order.

What cannot work is refused with InvalidInput, Overloaded or TypeError, as budgetmem/_core.pyi says;
the process lives on, and every item that was accepted ends once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from benchmarks.chaos.fuzz.arrays import given, integer
from benchmarks.chaos.fuzz.rules import expect
from benchmarks.chaos.fuzz.source import Source
from budgetmem import _core
from budgetmem.errors import InvalidInput, Overloaded
from budgetmem.scheduling.interface import ITEM, NEVER, BackbonePlan, EventKind, Plan, QueuePlan

REFUSED = (InvalidInput, Overloaded, TypeError)

STEPS = 64
"""Calls of one input, at most."""

ENDS = ("finished", "failed", "cancelled", "expired", "closed", "waiting", "in_flight")

PLAN = Plan(
    backbones=(
        BackbonePlan(credits=2, leader_timeout=50, device=7),
        BackbonePlan(credits=1, batch_items=4, batch_tokens=64, pads=True, per_token=1, device=7),
    ),
    queues=(QueuePlan(0, 20, 8), QueuePlan(0, 4, 4), QueuePlan(1, 30, 30)),
    quantum=16,
    age_cap=100,
    device_turn=40,
)


@dataclass
class Played:
    """A scheduler's core, with or without a clock of its own, and the ids that it gave."""

    core: Any
    clock: _core.ManualClock | None = None
    ids: list[int] = field(default_factory=list)

    def now(self, source: Source) -> tuple[Any, ...]:
        """The argument `now`, of a core without a clock."""
        return (integer(source),) if self.clock is None else ()

    def some_ids(self, source: Source) -> Any:  # noqa: ANN401 - what is no array, too
        known = self.ids[-8:] or [0]
        chosen = [source.pick(known) for _ in source.times(6)]
        if source.below(8) == 1:
            chosen.append(source.integer() % 2**64)
        return given(source, np.array(chosen, np.uint64))


def core(data: bytes) -> None:
    """A Core, whose time is an argument."""
    source = Source(data)
    with suppress(*REFUSED):
        _play(Played(_core.Core(_plan(source))), source, (*BOTH, _advance))


def scheduler(data: bytes) -> None:
    """A Scheduler, with its thread, under a clock that is held."""
    source = Source(data)
    with suppress(*REFUSED):
        clock = _core.ManualClock(integer(source))
        played = Played(_core.Scheduler(_plan(source), clock), clock)
        _play(played, source, (*BOTH, _tick, _poll))
        _check_events(played.core.poll())


def _play(
    played: Played, source: Source, calls: Sequence[Callable[[Played, Source], None]]
) -> None:
    for _ in range(STEPS):
        if source.empty:
            break
        with suppress(*REFUSED):
            source.pick(calls)(played, source)
    played.core.close()
    _check_counts(played.core)


def _plan(source: Source) -> Any:  # noqa: ANN401 - what is no plan, too
    if source.below(4):
        return PLAN
    if source.below(8) == 1:
        return source.pick((None, [], Plan((), ())))
    backbones = [_backbone(source) for _ in source.times(3)]
    queues = [QueuePlan(*(integer(source) for _ in range(3))) for _ in source.times(3)]
    return Plan(tuple(backbones), tuple(queues), *(integer(source) for _ in range(3)))


def _backbone(source: Source) -> BackbonePlan:
    given = {each.name: integer(source) for each in fields(BackbonePlan)}
    return BackbonePlan(**{**given, "pads": source.pick((True, False, 1))})


def _submit(played: Played, source: Source) -> None:
    items = np.zeros(len(source.times(8)), ITEM)
    items["deadline"], items["tokens"] = NEVER, 1
    for item in items:
        item["tokens"], item["queue"] = 1 + source.below(200), source.below(3)
        item["tenant"], item["group"] = source.below(4), source.below(4)
        for name in ITEM.names or ():
            if source.below(8) == 1:
                item[name] = np.array(source.integer() % 2**64, np.uint64).astype(ITEM[name])
    ids, answers = played.core.submit(given(source, items), *played.now(source))
    expect(len(ids) == len(answers), "there is an answer to every item")
    played.ids += [number for number in ids.tolist() if number]


def _first_token(played: Played, source: Source) -> None:
    played.core.first_token(played.some_ids(source))


def _finish(played: Played, source: Source) -> None:
    ok = source.pick((True, True, False, None, 1))
    played.core.finish(played.some_ids(source), ok, *played.now(source))


def _cancel(played: Played, source: Source) -> None:
    played.core.cancel(played.some_ids(source))


def _set_credits(played: Played, source: Source) -> None:
    played.core.set_credits(integer(source), integer(source))


def _close(played: Played, source: Source) -> None:
    if source.below(8) == 1:
        played.core.close()


def _advance(played: Played, source: Source) -> None:
    _check_events(played.core.advance(*played.now(source)))
    played.core.next_timer()


def _tick(played: Played, source: Source) -> None:
    if played.clock is not None:
        played.clock.advance(integer(source))


def _poll(played: Played, source: Source) -> None:
    _check_events(played.core.poll())


BOTH = (_submit, _submit, _first_token, _finish, _finish, _cancel, _set_credits, _close)
"""What both kinds are asked, the usual things more often."""


def _check_events(events: Any) -> None:  # noqa: ANN401 - an array of events
    kinds = set(events["kind"].tolist())
    expect(kinds <= set(EventKind), "events are of a kind that there is")
    expect(bool(np.all(events["id"] > 0)), "events are of items")


def _check_counts(core: Any) -> None:  # noqa: ANN401 - a Core or a Scheduler
    for queue in core.queue_stats():
        ends = [queue[name] for name in ENDS]
        expect(max(ends) < 2**63, "no count falls below 0")
        expect(queue["accepted"] == sum(ends), "every accepted item waits, flies, or ended once")
        expect(int(queue["queued"].sum()) == queue["dispatched"], "every dispatch is measured")
    for backbone in core.backbone_stats():
        expect(backbone["credits_in_use"] <= backbone["batches"], "credits come back once")
