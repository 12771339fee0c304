"""Rule 11 for one device: whose turn it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from budgetmem.scheduling.interface import NEVER, BackbonePlan
from budgetmem.scheduling.reference_backbone import Backbone


class Device:
    """A processor, and the backbones that run on it, in order of their index."""

    def __init__(self, backbones: Sequence[Backbone], turn: int) -> None:
        self._backbones = backbones
        self._turn = turn
        self._holder = 0
        self._challenged = NEVER  # since when others have waited for the holder

    def next(self, now: int) -> Backbone | None:
        """The backbone that may dispatch now. Passes the device on where that is due."""
        holder = self._backbones[self._holder]
        count = len(self._backbones)
        places = [(self._holder + step) % count for step in range(1, count)]
        rivals = [place for place in places if self._backbones[place].can_dispatch]
        if not rivals:
            self._challenged = NEVER
            return holder if holder.can_dispatch else None
        self._challenged = min(self._challenged, now)
        if holder.can_dispatch and now < min(NEVER, self._challenged + self._turn):
            return holder
        if holder.credits_in_use and now < self.next_turn:
            return None
        self._holder = rivals[0]
        self._challenged = NEVER
        return self._backbones[self._holder]

    @property
    def next_turn(self) -> int:
        """When the device is passed on although nothing else happens, NEVER if it is not."""
        return min(NEVER, self._challenged + 2 * self._turn)


def devices_of(
    plans: Sequence[BackbonePlan], backbones: Iterable[Backbone], turn: int
) -> list[Device]:
    """The devices in order of their first backbones; one without a name is a backbone's own."""
    by_name: dict[tuple[int, int], list[Backbone]] = {}
    for index, (plan, backbone) in enumerate(zip(plans, backbones, strict=True)):
        name = (plan.device, 0) if plan.device else (0, index)
        by_name.setdefault(name, []).append(backbone)
    return [Device(each, turn) for each in by_name.values()]
