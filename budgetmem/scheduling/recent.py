"""A bounded memory of what a task model said of a text."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from typing import Generic, TypeVar

T = TypeVar("T")
Key = tuple[str, bytes]


class Recent(Generic[T]):
    """The results of the `capacity` texts that were asked for last. Keeps digests, not texts.

    Nobody is served what another tenant asked for: receipts count what was remembered, and would
    tell one tenant what texts another one has.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._results: OrderedDict[Key, T] = OrderedDict()

    async def resolve(
        self,
        tenant: str,
        texts: Sequence[str],
        compute: Callable[[list[str]], Awaitable[Sequence[T]]],
    ) -> list[T]:
        """A result a text; `compute` gets those that are not remembered, each once."""
        keys = {text: (tenant, _digest(text)) for text in texts}
        found = {text: self._results[key] for text, key in keys.items() if key in self._results}
        missing = [text for text in keys if text not in found]
        if missing:
            found.update(zip(missing, await compute(missing), strict=True))
        for text, key in keys.items():
            self._results[key] = found[text]
            self._results.move_to_end(key)
        while len(self._results) > self._capacity:
            self._results.popitem(last=False)
        return [found[text] for text in texts]

    def count(self, tenant: str, texts: Sequence[str]) -> int:
        """How many of the texts are remembered for this tenant."""
        return sum((tenant, _digest(text)) in self._results for text in texts)

    def forget(self, tenant: str) -> None:
        """Forgets all that this tenant asked for."""
        for key in [key for key in self._results if key[0] == tenant]:
            del self._results[key]

    def forget_all(self) -> None:
        """Forgets what everybody asked for."""
        self._results.clear()


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()
