"""Calls that serve several items at once, and the callers that each wait for a part of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Any

from budgetmem.errors import BackboneError
from budgetmem.scheduling.loop_bridge import Entry, Item

BatchCall = Callable[[list[Any]], Awaitable[Sequence[Any]]]


class Portion:
    """What one caller waits for: the results of its payloads, in their order.

    `future` is done when all of them are there, or the first failure is. `on_dispatch` is called
    once, when the first payload is dispatched.
    """

    def __init__(
        self,
        call: BatchCall,
        size: int,
        future: asyncio.Future[None],
        on_dispatch: Callable[[], None] = lambda: None,
    ) -> None:
        self.call = call
        self.future = future
        self._on_dispatch: Callable[[], None] | None = on_dispatch
        self.members: list[Member] = []
        self.results: list[Any] = [None] * size
        self._missing = size

    @property
    def begun(self) -> bool:
        """Whether one of the payloads has been dispatched."""
        return self._on_dispatch is None

    def dispatched(self) -> None:
        """One of the payloads has been dispatched."""
        if self._on_dispatch is not None:
            self._on_dispatch()
            self._on_dispatch = None

    def put(self, index: int, result: object) -> None:
        """The result of one payload."""
        self.results[index] = result
        self._missing -= 1
        if not self._missing and not self.future.done():
            self.future.set_result(None)

    def leave(self) -> None:
        """The caller has gone: batches that nobody else waits for are cancelled."""
        for member in self.members:
            if member.batch is not None:
                member.batch.leave()


class Member(Entry):
    """One payload of a portion, as an item of work."""

    __slots__ = ("batch", "index", "payload", "portion")

    def __init__(self, item: Item, portion: Portion, index: int, payload: object) -> None:
        super().__init__(item, portion.future)
        self.portion = portion
        self.index = index
        self.payload = payload
        self.batch: Batch | None = None


class Batch:
    """One call for members that were dispatched together, as a task that belongs to no caller.

    `ended` is told once, with whether the call went well, before the callers are.
    """

    def __init__(
        self,
        members: Sequence[Member],
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[Batch, bool], None],
    ) -> None:
        self.members = members
        self._callers = len(members)
        self._ended = ended
        for member in members:
            member.batch = self
            member.portion.dispatched()
        # In an empty context: it may serve several requests, and is of the trace of none.
        self._task = Context().run(loop.create_task, self._run())
        self._task.add_done_callback(self._deliver)

    def leave(self) -> None:
        """One member's caller has gone. Without the last one the call is cancelled."""
        self._callers -= 1
        if not self._callers:
            self._task.cancel()

    async def _run(self) -> Sequence[Any]:
        results = await self.members[0].portion.call([member.payload for member in self.members])
        if len(results) != len(self.members):
            raise BackboneError(f"{len(results)} results for a batch of {len(self.members)}")
        return results

    def _deliver(self, task: asyncio.Task[Sequence[Any]]) -> None:
        error = None if task.cancelled() else task.exception()
        self._ended(self, not task.cancelled() and error is None)
        if task.cancelled():
            for member in self.members:
                member.future.cancel()
        elif error is not None:
            for member in self.members:
                if not member.future.done():
                    member.future.set_exception(error)
        else:
            for member, result in zip(self.members, task.result(), strict=True):
                member.portion.put(member.index, result)
