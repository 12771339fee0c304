"""How many items batches and prefix groups had, as histograms of fixed size: a bucket to every
power of two."""

from __future__ import annotations

from dataclasses import dataclass

BUCKETS = 12
"""Up to 1, 2, 4, ... 1024 items, the largest batch of a profile; the last is of all beyond."""


class Sizes:
    """Counts batches, or groups, by their items. Another thread may read while one counts."""

    def __init__(self) -> None:
        self.buckets = [0] * BUCKETS
        self.items = 0

    def record(self, size: int) -> None:
        """One more of them, of at least one item."""
        self.buckets[min((size - 1).bit_length(), BUCKETS - 1)] += 1
        self.items += size


class GroupSizes:
    """Counts the prefix groups of each model by the calls that went to it.

    As for the scheduler, a group is there while one of its calls waits or is in flight.
    """

    def __init__(self) -> None:
        self.by_model: dict[str, Sizes] = {}
        self._groups: dict[int, _Group] = {}

    def enter(self, key: int) -> None:
        """A call comes; key 0 is no group."""
        if key:
            self._groups.setdefault(key, _Group()).live += 1

    def leave(self, model: str, key: int, *, went: bool) -> None:
        """A call that came has ended, whether or not it went to its model."""
        if not key:
            return
        group = self._groups[key]
        group.live -= 1
        group.went += went
        if not group.live:
            del self._groups[key]
            if group.went:
                self.by_model.setdefault(model, Sizes()).record(group.went)


@dataclass
class _Group:
    live: int = 0
    went: int = 0
