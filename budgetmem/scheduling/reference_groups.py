"""Rule 5: of the items that share a prompt prefix one leads, and the others wait for its prompt."""

from __future__ import annotations

from budgetmem.scheduling.reference_parts import Group, Item, Place


class Groups:
    """The prefix groups of one backbone. What is released is returned, in the order of holding."""

    def __init__(self) -> None:
        self._groups: dict[int, Group] = {}
        self.leaders = 0
        self.siblings = 0
        self.promotions = 0
        self.timeouts = 0

    def enter(self, key: int) -> Group | None:
        """The group of a newly accepted item; None for key 0, which is no group."""
        if key == 0:
            return None
        group = self._groups.setdefault(key, Group(key))
        group.members += 1
        return group

    @staticmethod
    def hold_if_led(item: Item) -> bool:
        """Sets the item aside if its leader is in flight and has not read the prompt."""
        if item.group is None or item.group.leader is None:
            return False
        item.place = Place.HELD
        item.group.held[item.id] = item
        return True

    def dispatched(self, item: Item) -> None:
        """The item goes: it leads where nobody does."""
        if item.group is None:
            return
        if item.group.read:
            self.siblings += 1
        else:
            self.leaders += 1
            item.group.leader = item

    def read(self, item: Item) -> list[Item]:
        """The item's prompt has been read; that matters if it is a leader's."""
        if not leads(item):
            return []
        assert item.group is not None
        item.group.read = True
        return self._end_lead(item.group)

    def timed_out(self, leader: Item) -> list[Item]:
        """The leader has had its time."""
        self.timeouts += 1
        return self.read(leader)

    def leave(self, item: Item, ok: bool = False) -> list[Item]:
        """The item has ended, well or not, in flight or waiting."""
        group = item.group
        if group is None:
            return []
        group.members -= 1
        group.held.pop(item.id, None)
        released: list[Item] = []
        if ok:
            released = self.read(item)
        elif leads(item):
            self.promotions += group.members > 0
            released = self._end_lead(group)
        if group.members == 0:
            del self._groups[group.key]
        return released

    @staticmethod
    def _end_lead(group: Group) -> list[Item]:
        released = list(group.held.values())
        group.leader = None
        group.held.clear()
        return released


def leads(item: Item) -> bool:
    """Whether others of its group wait for this item."""
    return item.group is not None and item.group.leader is item
