"""Both clients behind one face: an integration is written once, for asyncio, and runs on either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from typing_extensions import Unpack

from budgetmem.client import AsyncClient, Client, QueryOptions
from budgetmem.errors import ConfigError
from budgetmem.history import IngestReport
from budgetmem.store.base import DeletionProof, HistoryInfo
from budgetmem.types import Memory, Turn

T = TypeVar("T")


class Calls(Protocol):
    """What integrations call; `AsyncClient` has it."""

    async def ingest(self, history: str, turns: Iterable[Turn]) -> IngestReport: ...

    async def extract(
        self, history: str, query: str, **options: Unpack[QueryOptions]
    ) -> Memory: ...

    async def histories(self) -> tuple[HistoryInfo, ...]: ...

    def export(self, history: str) -> AsyncIterator[Turn]: ...

    async def delete_turns(self, history: str, turn_ids: Iterable[str]) -> DeletionProof: ...


@dataclass(frozen=True)
class Blocking:
    """A client for threads with the face of the other: its coroutines never wait, they block."""

    client: Client

    async def ingest(self, history: str, turns: Iterable[Turn]) -> IngestReport:
        """See `Client.ingest`."""
        return self.client.ingest(history, turns)

    async def extract(self, history: str, query: str, **options: Unpack[QueryOptions]) -> Memory:
        """See `Client.extract`."""
        return self.client.extract(history, query, **options)

    async def histories(self) -> tuple[HistoryInfo, ...]:
        """See `Client.histories`."""
        return self.client.histories()

    async def export(self, history: str) -> AsyncIterator[Turn]:
        """See `Client.export`."""
        for turn in self.client.export(history):
            yield turn

    async def delete_turns(self, history: str, turn_ids: Iterable[str]) -> DeletionProof:
        """See `Client.delete_turns`."""
        return self.client.delete_turns(history, turn_ids)


Work = Callable[[Calls], Coroutine[Any, Any, T]]
"""What is done with a client."""


@dataclass(frozen=True)
class Clients:
    """The client for calls that block, the one for calls that are awaited, or both.

    Without an `async_client`, awaited calls run the other in a thread: to cancel them does not end
    the work on the server, as it does with one. Raises ConfigError if neither is given.
    """

    client: Client | None = None
    async_client: AsyncClient | None = None

    def __post_init__(self) -> None:
        if self.client is None and self.async_client is None:
            raise ConfigError("give a `client`, an `async_client`, or both")

    def run(self, work: Work[T]) -> T:
        """Does the work, blocking. Raises ConfigError if there is only the other client."""
        if self.client is None:
            raise ConfigError(
                "only an `async_client` was given: await the call, or give a `client`"
            )
        return finished(work(Blocking(self.client)))

    async def arun(self, work: Work[T]) -> T:
        """Does the work without blocking the event loop."""
        if self.async_client is None:
            return await asyncio.to_thread(self.run, work)
        return await work(self.async_client)


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits for an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("the coroutine waits for an event loop")
