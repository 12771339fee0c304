"""What the reference core keeps: items, their places, and heaps that pass over tombstones."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Place(Enum):
    """Where an item is. It waits while it is in line or held."""

    IN_LINE, HELD, IN_FLIGHT, GONE = range(4)


@dataclass(eq=False, slots=True)
class Group:
    """The live items of one backbone that share a prompt prefix (rule 5)."""

    key: int
    members: int = 0
    leader: Item | None = None  # while it is in flight and has not read its prompt
    read: bool = False
    held: dict[int, Item] = field(default_factory=dict)  # by id, in the order of holding


@dataclass(eq=False, slots=True)
class Item:
    """An accepted item. Times are nanoseconds."""

    id: int  # ids count up, so they order by admission
    queue: int
    tenant: int
    tokens: int
    bucket: int  # of its length, where the backbone pads
    urgency: int  # due then; the least goes first
    drop: int  # the last time at which its deadline can be met; NEVER without a deadline
    admitted: int
    group: Group | None
    place: Place = Place.IN_LINE
    dispatched: int = 0
    batch: int = 0


class LazyHeap(Generic[T]):
    """Things in order of (time, order). Those no longer `alive` are passed over at the head.

    They are swept whenever the heap has doubled since the last sweep, so pushing and popping stay
    logarithmic and tombstones do not pile up.
    """

    def __init__(self, alive: Callable[[T], bool]) -> None:
        self._alive = alive
        self._heap: list[tuple[int, int, T]] = []
        self._sweep_at = 64

    def push(self, time: int, order: int, thing: T) -> None:
        """Adds a thing. No two have the same order."""
        heapq.heappush(self._heap, (time, order, thing))
        if len(self._heap) > self._sweep_at:
            self._heap = [entry for entry in self._heap if self._alive(entry[2])]
            heapq.heapify(self._heap)
            self._sweep_at = max(64, 2 * len(self._heap))

    def head(self) -> tuple[int, int, T] | None:
        """The first entry that is alive, or None."""
        while self._heap and not self._alive(self._heap[0][2]):
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None

    def pop(self) -> None:
        """Removes the entry that `head` has just returned."""
        heapq.heappop(self._heap)

    def pop_due(self, now: int) -> T | None:
        """Removes and returns the first thing whose time has come, or None."""
        entry = self.head()
        if entry is None or entry[0] > now:
            return None
        self.pop()
        return entry[2]
