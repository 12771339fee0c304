"""Rules 2 to 4 for one backbone: who goes next, and who goes along."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from budgetmem.scheduling.interface import BackbonePlan
from budgetmem.scheduling.reference_groups import Groups
from budgetmem.scheduling.reference_parts import Item, LazyHeap, Place


@dataclass(eq=False, slots=True)
class Tenant:
    """A tenant in the ring, with its line: a heap of items, by urgency, for every length bucket."""

    id: int
    deficit: int = 0
    had_quantum: bool = False  # in this turn
    has_seeded: bool = False  # in this turn
    saving: bool = False  # since a turn that covered no item, until one does
    line: dict[int, LazyHeap[Item]] = field(default_factory=dict)

    def most_urgent(self, bucket: int | None) -> Item | None:
        """The most urgent item in line, of one bucket or of all."""
        heaps = self.line.values() if bucket is None else [self.line[bucket]]
        heads = [head for heap in heaps if (head := heap.head()) is not None]
        return min(heads)[2] if heads else None


RING_SLACK = 64
"""Rings of fewer tenants are not swept."""


class Backbone:
    """Credits, the ring of tenants, and the prefix groups of one backbone."""

    def __init__(self, plan: BackbonePlan, quantum: int) -> None:
        self._plan = plan
        self._quantum = quantum
        self._tenants: dict[int, Tenant] = {}
        self._ring: deque[Tenant] = deque()
        self._sweep_at = RING_SLACK
        self.groups = Groups()
        self.credits = plan.credits
        self.credits_in_use = 0
        self.batches = 0

    def bucket(self, tokens: int) -> int:
        """Items of one bucket may share a dispatch."""
        return tokens.bit_length() if self._plan.pads else 0

    def line_up(self, item: Item) -> None:
        """Puts an item in line, new or released. Its tenant joins the ring if it is not there."""
        tenant = self._tenants.get(item.tenant)
        if tenant is None:
            if len(self._ring) >= self._sweep_at:
                self._sweep()
            tenant = self._tenants[item.tenant] = Tenant(item.tenant)
            self._ring.append(tenant)
        heap = tenant.line.get(item.bucket)
        if heap is None:
            heap = tenant.line[item.bucket] = LazyHeap(in_line)
        item.place = Place.IN_LINE
        heap.push(item.urgency, item.id, item)

    def _sweep(self) -> None:
        """Those with nothing in line leave the ring, as they would if they were looked at."""
        self._ring = deque(each for each in self._ring if each.most_urgent(None) is not None)
        self._tenants = {each.id: each for each in self._ring}
        self._sweep_at = max(RING_SLACK, 2 * len(self._ring))

    @property
    def can_dispatch(self) -> bool:
        """Whether looking at the ring may lead to a dispatch."""
        return self.credits_in_use < self.credits and bool(self._ring)

    def next_dispatch(self) -> list[Item]:
        """The items of the next dispatch, which takes a credit; none without credit or items."""
        if not self.can_dispatch:
            return []
        seed = self._seed()
        if seed is None:
            return []
        self.credits_in_use += 1
        self.batches += 1
        return self._batch(seed)

    def stats(self) -> dict[str, int]:
        """The counters of interface.Core.backbone_stats."""
        return {
            "batches": self.batches,
            "credits_in_use": self.credits_in_use,
            "credits": self.credits,
            "leaders": self.groups.leaders,
            "siblings": self.groups.siblings,
            "promotions": self.groups.promotions,
            "timeouts": self.groups.timeouts,
        }

    def _seed(self) -> Item | None:
        while self._ring:
            tenant = self._ring[0]
            item = self._candidate(tenant)
            if item is None:
                self._ring.popleft()
                del self._tenants[tenant.id]
            elif self._affords(tenant, item):
                tenant.has_seeded, tenant.saving = True, False
                return self._take(tenant, item)
            else:
                tenant.saving = not tenant.has_seeded
                tenant.had_quantum = tenant.has_seeded = False
                self._ring.rotate(-1)
        return None

    def _affords(self, tenant: Tenant, item: Item) -> bool:
        if len(self._ring) == 1:  # there is nobody to be fair to
            tenant.deficit = max(tenant.deficit, item.tokens)
        elif not tenant.had_quantum:
            tenant.deficit += self._quantum
            tenant.had_quantum = True
        return tenant.deficit >= item.tokens

    def _batch(self, seed: Item) -> list[Item]:
        batch = [seed]
        longest = seed.tokens
        size_before = 0
        while size_before < len(batch):  # the last round has added something
            size_before = len(batch)
            for tenant in self._ring:
                if len(batch) == self._plan.batch_items:
                    return batch
                item = self._candidate(tenant, seed.bucket)
                if item is not None and self._fits(len(batch) + 1, max(longest, item.tokens)):
                    batch.append(self._take(tenant, item))
                    longest = max(longest, item.tokens)
        return batch

    def _fits(self, items: int, longest: int) -> bool:
        return self._plan.batch_tokens == 0 or items * longest <= self._plan.batch_tokens

    def _candidate(self, tenant: Tenant, bucket: int | None = None) -> Item | None:
        """The tenant's most urgent item that may go; those before it are held."""
        if bucket is not None and bucket not in tenant.line:
            return None
        while (item := tenant.most_urgent(bucket)) is not None:
            if not self.groups.hold_if_led(item):
                return item
            tenant.line[item.bucket].pop()
        return None

    def _take(self, tenant: Tenant, item: Item) -> Item:
        tenant.line[item.bucket].pop()
        if not tenant.saving:
            tenant.deficit -= item.tokens
        item.place = Place.IN_FLIGHT
        self.groups.dispatched(item)
        return item


def in_line(item: Item) -> bool:
    """False for the tombstones of a line."""
    return item.place is Place.IN_LINE
