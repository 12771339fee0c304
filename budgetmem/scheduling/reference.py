"""The scheduler core in plain Python, to be read beside docs/scheduling.md.

It makes the decisions of the C++ core (csrc/include/budgetmem/core.hpp) in the same order; tests
hold the two together. Here are admission, timers and the end of items (rules 1 and 6 to 10), in
reference_backbone.py the order of dispatch (2 to 4), in reference_groups.py prefix groups (5), in
reference_device.py whose turn it is (11).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from budgetmem.scheduling.interface import (
    EVENT,
    NEVER,
    Admission,
    BackbonePlan,
    EventKind,
    Events,
    Ids,
    Items,
    Plan,
)
from budgetmem.scheduling.reference_backbone import Backbone
from budgetmem.scheduling.reference_device import devices_of
from budgetmem.scheduling.reference_groups import leads
from budgetmem.scheduling.reference_parts import Item, LazyHeap, Place
from budgetmem.scheduling.reference_queue import Queue
from budgetmem.scheduling.validation import (
    check_credits,
    check_ids,
    check_items,
    check_now,
    check_plan,
)

_REFUSALS = {
    Admission.FULL: "full",
    Admission.INFEASIBLE: "infeasible",
    Admission.CLOSED: "refused_closed",
}


class Core:
    """Implements interface.Core. Raises InvalidInput for a plan that cannot work."""

    def __init__(self, plan: Plan) -> None:
        check_plan(plan)
        self._plan = plan
        self._backbones = [Backbone(backbone, plan.quantum) for backbone in plan.backbones]
        self._devices = devices_of(plan.backbones, self._backbones, plan.device_turn)
        self._queues = [Queue(queue, self._backbones[queue.backbone]) for queue in plan.queues]
        self._closed = False
        self._last_id = 0
        self._last_batch = 0
        self._waiting: dict[int, Item] = {}  # by id, in order of admission
        self._in_flight: dict[int, Item] = {}
        self._unfinished: dict[int, int] = {}  # items of a dispatch, by its number
        self._deadlines: LazyHeap[Item] = LazyHeap(lambda item: item.id in self._waiting)
        self._leaders: LazyHeap[Item] = LazyHeap(leads)
        self._leaders_before = 0

    def submit(self, items: Items, now: int) -> tuple[Ids, NDArray[np.uint8]]:
        """Admits what there is room for. `items` [n]; returns ids [n] and Admissions [n]."""
        check_now(now)
        check_items(items, len(self._queues))
        answers = np.empty(len(items), dtype=np.uint8)
        ids = np.zeros(len(items), dtype=np.uint64)
        for index, (group, born, deadline, number, tenant, tokens) in enumerate(items.tolist()):
            queue = self._queues[number]
            drop = _drop_time(deadline, tokens, self._plan.backbones[queue.plan.backbone])
            answer = self._answer(queue, tenant, drop, now)
            answers[index] = answer
            if answer is not Admission.ACCEPTED:
                queue.counts[_REFUSALS[answer]] += 1
                continue
            self._last_id += 1
            item = Item(
                id=self._last_id,
                queue=number,
                tenant=tenant,
                tokens=tokens,
                bucket=queue.backbone.bucket(tokens),
                urgency=min(deadline, born + self._plan.age_cap),
                drop=drop,
                admitted=now,
                group=queue.backbone.groups.enter(group),
            )
            self._accept(item, queue)
            ids[index] = item.id
        return ids, answers

    def _answer(self, queue: Queue, tenant: int, drop: int, now: int) -> Admission:
        if self._closed:
            return Admission.CLOSED
        if now > drop:
            return Admission.INFEASIBLE
        return Admission.FULL if queue.full(tenant) else Admission.ACCEPTED

    def _accept(self, item: Item, queue: Queue) -> None:
        queue.counts["accepted"] += 1
        queue.enter(item.tenant)
        queue.backbone.line_up(item)
        self._waiting[item.id] = item
        if item.drop != NEVER:
            self._deadlines.push(item.drop, item.id, item)

    def first_token(self, ids: Ids) -> None:
        """These prompts have been read: releases the siblings of leaders."""
        check_ids(ids)
        for number in ids.tolist():
            item = self._in_flight.get(number)
            if item is not None:
                backbone = self._queues[item.queue].backbone
                _line_up(backbone, backbone.groups.read(item))

    def finish(self, ids: Ids, ok: bool, now: int) -> int:
        """Ends items in flight; the last of a dispatch returns its credit."""
        check_ids(ids)
        check_now(now)
        items = [item for number in ids.tolist() if (item := self._in_flight.pop(number, None))]
        for item in items:
            queue = self._queues[item.queue]
            queue.in_flight -= 1
            queue.counts["finished" if ok else "failed"] += 1
            queue.service.record(now - item.dispatched)
            self._unfinished[item.batch] -= 1
            if not self._unfinished[item.batch]:
                del self._unfinished[item.batch]
                queue.backbone.credits_in_use -= 1
            self._end(item, ok)
        return len(items)

    def cancel(self, ids: Ids) -> int:
        """Takes back items that wait."""
        check_ids(ids)
        items = [item for number in ids.tolist() if (item := self._stop_waiting(number))]
        for item in items:
            self._queues[item.queue].counts["cancelled"] += 1
            self._end(item)
        return len(items)

    def advance(self, now: int) -> Events:
        """Expires, releases and dispatches, in this order (rule 9)."""
        check_now(now)
        events: list[tuple[int, int, EventKind]] = []
        while (item := self._deadlines.pop_due(now - 1)) is not None:
            self._drop(item, "expired")
            events.append((item.id, 0, EventKind.EXPIRED))
        while (leader := self._leaders.pop_due(now)) is not None:
            backbone = self._queues[leader.queue].backbone
            _line_up(backbone, backbone.groups.timed_out(leader))
        for device in self._devices:
            while (turn := device.next(now)) is not None:
                if batch := turn.next_dispatch():
                    self._dispatch(batch, now)
                    events += [(item.id, item.batch, EventKind.DISPATCHED) for item in batch]
        return np.array(events, dtype=EVENT)

    def _dispatch(self, batch: list[Item], now: int) -> None:
        self._last_batch += 1
        self._unfinished[self._last_batch] = len(batch)
        for item in batch:
            queue = self._queues[item.queue]
            self._stop_waiting(item.id)
            self._in_flight[item.id] = item
            item.dispatched = now
            item.batch = self._last_batch
            queue.in_flight += 1
            queue.counts["dispatched"] += 1
            queue.queued.record(now - item.admitted)
            if leads(item):
                timeout = self._plan.backbones[queue.plan.backbone].leader_timeout
                self._leaders_before += 1
                self._leaders.push(min(NEVER, now + timeout), self._leaders_before, item)

    def next_timer(self) -> int:
        """The earliest time at which an item expires, a group is released or a device changes
        hands; NEVER if none."""
        deadline, release = self._deadlines.head(), self._leaders.head()
        return min(
            NEVER if deadline is None else deadline[0] + 1,
            NEVER if release is None else release[0],
            *(device.next_turn for device in self._devices),
        )

    def set_credits(self, backbone: int, credits: int) -> None:
        """Fewer than are in use is allowed (rule 8)."""
        check_credits(self._plan, backbone, credits)
        self._backbones[backbone].credits = credits

    def close(self) -> Events:
        """Refuses new work, and gives every waiting item a `closed` event."""
        self._closed = True
        items = list(self._waiting.values())
        for item in items:
            self._drop(item, "closed")
        return np.array([(item.id, 0, EventKind.CLOSED) for item in items], dtype=EVENT)

    @property
    def closed(self) -> bool:
        """Whether close() has been called."""
        return self._closed

    def queue_stats(self) -> list[dict[str, Any]]:
        """A dict a queue, see interface.Core."""
        return [queue.stats() for queue in self._queues]

    def backbone_stats(self) -> list[dict[str, int]]:
        """A dict a backbone: the counters of BackboneStats (csrc/include/budgetmem/core.hpp)."""
        return [backbone.stats() for backbone in self._backbones]

    def _stop_waiting(self, number: int) -> Item | None:
        """Frees the item's places at once (rule 7); None if it does not wait."""
        item = self._waiting.pop(number, None)
        if item is not None:
            self._queues[item.queue].leave(item.tenant)
        return item

    def _drop(self, item: Item, counter: str) -> None:
        self._stop_waiting(item.id)
        self._queues[item.queue].counts[counter] += 1
        self._end(item)

    def _end(self, item: Item, ok: bool = False) -> None:
        item.place = Place.GONE
        backbone = self._queues[item.queue].backbone
        _line_up(backbone, backbone.groups.leave(item, ok))


def _drop_time(deadline: int, tokens: int, plan: BackbonePlan) -> int:
    """The last time at which the deadline can be met (rules 1 and 6)."""
    if deadline == NEVER:
        return NEVER
    return deadline - min(NEVER, plan.fixed + plan.per_token * tokens)


def _line_up(backbone: Backbone, released: list[Item]) -> None:
    for item in released:
        backbone.line_up(item)
