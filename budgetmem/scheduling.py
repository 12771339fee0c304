"""The order in which a request's calls reach the backbones.

Modules of one stage read the same memories. An engine with prefix caching reads them once, but
only if the first call has been read before the others arrive; sent together, each is read in
full (measured: 2.3 against 1.2 queries a second). So the first call of a prefix leads, and its
siblings follow its first token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class PrefixGroups:
    """Leaders and siblings of one request. Not shared between requests; one event loop."""

    def __init__(self) -> None:
        self._leading: dict[tuple[str, str], asyncio.Event] = {}
        self._read: set[tuple[str, str]] = set()

    async def run(
        self,
        backbone: str,
        prefix: str,
        call: Callable[[Callable[[], None]], Awaitable[T]],
    ) -> T:
        """Awaits `call(on_first_token)`, at once for a leader, after the leader for a sibling.

        A leader that fails or is cancelled before its first token hands the lead to a sibling.
        """
        key = (backbone, prefix)
        while key not in self._read:
            leader = self._leading.get(key)
            if leader is None:
                return await self._lead(key, call)
            await leader.wait()
        return await call(lambda: None)

    async def _lead(
        self, key: tuple[str, str], call: Callable[[Callable[[], None]], Awaitable[T]]
    ) -> T:
        done = self._leading[key] = asyncio.Event()

        def first_token() -> None:
            self._read.add(key)
            done.set()

        try:
            return await call(first_token)
        finally:
            del self._leading[key]
            done.set()
