"""Room for so many calls at a time, and no line of those that wait for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from budgetmem.errors import Overloaded


@dataclass(frozen=True)
class StoreLimits:
    """How many calls may work on histories at a time, in total and of one tenant.

    Each holds a message in memory, of `budgetmem.info.Limits.message_bytes` at most.
    """

    calls: int = 128
    tenant_calls: int = 32


class Room:
    """Places for calls that do not wait: who finds none is Overloaded."""

    def __init__(self, limits: StoreLimits) -> None:
        self._limits = limits
        self._taken: Counter[str] = Counter()

    @contextmanager
    def place(self, tenant: str) -> Iterator[None]:
        """Holds a place. Raises Overloaded if all are taken, or all that one tenant may have."""
        if self._taken.total() >= self._limits.calls:
            raise Overloaded("the server works on as many histories as it can: try again later")
        if self._taken[tenant] >= self._limits.tenant_calls:
            raise Overloaded(
                f"{self._limits.tenant_calls} calls of this tenant work on its histories already: "
                "send fewer at a time"
            )
        self._taken[tenant] += 1
        try:
            yield
        finally:
            self._taken[tenant] -= 1
            if not self._taken[tenant]:
                del self._taken[tenant]
