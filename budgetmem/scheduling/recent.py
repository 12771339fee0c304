"""A bounded memory of what a task model said of a text."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Generic, TypeVar

T = TypeVar("T")
Key = tuple[str, bytes]


class Recent(Generic[T]):
    """The results of the `capacity` texts that were asked for last. Keeps digests, not texts.

    Nobody is served what another tenant asked for: receipts count what was remembered, and would
    tell one tenant what texts another one has. What a request found out that began before its
    tenant was forgotten is not kept: it may be of a text that was erased. `clock` returns seconds.
    """

    def __init__(self, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._results: OrderedDict[Key, T] = OrderedDict()
        self._forgotten = Forgotten(max(capacity, 1))

    async def resolve(
        self,
        tenant: str,
        texts: Sequence[str],
        compute: Callable[[list[str]], Awaitable[Sequence[T]]],
        born: float | None = None,
    ) -> list[T]:
        """A result a text; `compute` gets those that are not remembered, each once. `born` is when
        the request began; None is now."""
        born = self._clock() if born is None else born
        keys = {text: (tenant, _digest(text)) for text in texts}
        found = {text: self._results[key] for text, key in keys.items() if key in self._results}
        missing = [text for text in keys if text not in found]
        if missing:
            found.update(zip(missing, await compute(missing), strict=True))
        if born > self._forgotten.last(tenant):
            self._keep({key: found[text] for text, key in keys.items()})
        return [found[text] for text in texts]

    def count(self, tenant: str, texts: Sequence[str]) -> int:
        """How many of the texts are remembered for this tenant."""
        return sum((tenant, _digest(text)) in self._results for text in texts)

    def forget(self, tenant: str) -> None:
        """Forgets all that this tenant asked for."""
        self._forgotten.note(tenant, self._clock())
        for key in [key for key in self._results if key[0] == tenant]:
            del self._results[key]

    def forget_all(self) -> None:
        """Forgets what everybody asked for."""
        self._forgotten.note_all(self._clock())
        self._results.clear()

    def _keep(self, results: Mapping[Key, T]) -> None:
        for key, result in results.items():
            self._results[key] = result
            self._results.move_to_end(key)
        while len(self._results) > self._capacity:
            self._results.popitem(last=False)


class Forgotten:
    """When tenants were forgotten. Of more than the `capacity` last ones it knows that it was not
    later than a time, which is then said of everybody."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._everybody = -math.inf
        self._tenants: OrderedDict[str, float] = OrderedDict()

    def last(self, tenant: str) -> float:
        """No earlier than the last time that the tenant was forgotten."""
        return max(self._everybody, self._tenants.get(tenant, -math.inf))

    def note(self, tenant: str, now: float) -> None:
        """The tenant is forgotten."""
        self._tenants[tenant] = now
        self._tenants.move_to_end(tenant)
        if len(self._tenants) > self._capacity:
            self.note_all(self._tenants.popitem(last=False)[1])

    def note_all(self, now: float) -> None:
        """Everybody is forgotten who was not since."""
        self._everybody = max(self._everybody, now)


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()
