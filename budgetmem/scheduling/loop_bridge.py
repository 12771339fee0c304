"""Between an event loop and a scheduler core: many small steps of one tick cross over as one array.

Nothing here waits for a timer. What a tick submits, reports or finishes goes over at its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from enum import Enum, auto
from typing import NamedTuple

import numpy as np

from budgetmem.errors import BudgetMemError
from budgetmem.scheduling import interface
from budgetmem.scheduling.interface import ITEM, Admission, EventKind
from budgetmem.scheduling.refusals import Refusals
from budgetmem.scheduling.tenants import Tenants


class State(Enum):
    """Where an entry is. It only ever moves on."""

    UNSENT, WAITING, IN_FLIGHT, OVER = (auto() for _ in range(4))


class Item(NamedTuple):
    """One item of interface.ITEM, its tenant by name. `born` None is when it is submitted."""

    group: int
    born: int | None
    deadline: int
    queue: int
    tenant: str
    tokens: int


class Entry:
    """One item of work, from its submission to its end.

    `future` is what its caller awaits; entries may share one. It gets the error if the item is
    not dispatched, and when it is done already the item is not wanted any more.
    """

    __slots__ = ("future", "id", "item", "read", "state")

    def __init__(self, item: Item, future: asyncio.Future[None]) -> None:
        self.item = item
        self.future = future
        self.id = 0
        self.read = False
        self.state = State.UNSENT


class LoopBridge:
    """The entries of one event loop in one scheduler.

    `start` gets the (entry, batch) pairs that one poll found dispatched. Each is to be ended by
    `finish`, once. All methods are for the loop's thread.
    """

    def __init__(
        self,
        scheduler: interface.Scheduler,
        refusals: Refusals,
        start: Callable[[Sequence[tuple[Entry, int]]], None],
    ) -> None:
        self._scheduler = scheduler
        self._refusals = refusals
        self._start = start
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tenants = Tenants()
        self._unsent: list[Entry] = []
        self._waiting: dict[int, Entry] = {}
        self._first_tokens: list[int] = []
        self._finished: dict[bool, list[int]] = {True: [], False: []}
        self._flush_is_due = False
        self._live = 0
        self._closed = False
        self._drained = asyncio.Event()

    def attach(self) -> asyncio.AbstractEventLoop:
        """The running loop, which is told of events from its first use of this bridge on.

        Raises ServerUnavailable once closed, RuntimeError in another loop than the first.
        """
        loop = asyncio.get_running_loop()
        if self._closed:
            raise self._refusals.closed()
        if self._loop is None:
            # In an empty context: the reader outlives the request that happens to be the first.
            Context().run(loop.add_reader, self._scheduler.fileno(), self._on_events)
            self._loop = loop
        self._check_loop(loop)
        return loop

    def submit(self, entries: Iterable[Entry]) -> None:
        """Puts entries in line at the end of this tick. The caller has called `attach`."""
        for entry in entries:
            self._unsent.append(entry)
            self._live += 1
        self._flush_soon()

    def first_token(self, entry: Entry) -> None:
        """Reports that a prompt in flight has been read. Only the first report counts."""
        if entry.state is State.IN_FLIGHT and not entry.read:
            entry.read = True
            self._first_tokens.append(entry.id)
            self._flush_soon()

    def finish(self, entry: Entry, ok: bool) -> None:
        """Ends an entry in flight; does nothing to any other."""
        if entry.state is State.IN_FLIGHT:
            self._finished[ok].append(entry.id)
            self._end(entry)
            self._flush_soon()

    def withdraw(self, entries: Iterable[Entry]) -> None:
        """Takes back those that are not in flight. The core hears of it before this returns."""
        ids = []
        for entry in entries:
            if entry.state is State.WAITING:
                del self._waiting[entry.id]
                ids.append(entry.id)
            if entry.state in (State.UNSENT, State.WAITING):
                self._end(entry)
        if ids:
            # One that has just been dispatched is not cancelled: its event will finish it.
            self._scheduler.cancel(_ids(ids))

    async def close(self) -> None:
        """Refuses what waits and what comes; returns when nothing is in flight any more."""
        if self._loop is not None:
            self._check_loop(asyncio.get_running_loop())
        self._closed = True
        self._scheduler.close()
        self._flush()
        if self._live:
            await self._drained.wait()
        self._flush()
        if self._loop is not None:
            self._loop.remove_reader(self._scheduler.fileno())

    def _check_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not loop:
            raise RuntimeError("this scheduler is in use on another event loop")

    def _flush_soon(self) -> None:
        if not self._flush_is_due and self._loop is not None:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        if self._first_tokens:
            self._scheduler.first_token(_ids(self._first_tokens))
            self._first_tokens.clear()
        for ok, ids in self._finished.items():
            if ids:
                self._scheduler.finish(_ids(ids), ok)
                ids.clear()
        entries = [entry for entry in self._unsent if not entry.future.done()]
        self._unsent.clear()
        if entries:
            self._send(entries)
        # What could go at once has gone: no need to wait for the descriptor.
        self._on_events()

    def _send(self, entries: Sequence[Entry]) -> None:
        now = self._scheduler.now()
        items = [self._row(entry.item, now) for entry in entries]
        ids, answers = self._scheduler.submit(np.array(items, ITEM))
        refused: list[tuple[Entry, int]] = []
        for entry, id_, answer in zip(entries, ids.tolist(), answers.tolist(), strict=True):
            entry.state = State.WAITING
            if answer == Admission.ACCEPTED:
                entry.id = id_
                self._waiting[id_] = entry
            else:
                refused.append((entry, answer))
        errors = self._refusals.of_answers([(e.item.queue, answer) for e, answer in refused])
        for (entry, _), error in zip(refused, errors, strict=True):
            self._refuse(entry, error)

    def _row(self, item: Item, now: int) -> tuple[int, ...]:
        born = now if item.born is None else item.born
        tenant = self._tenants.acquire(item.tenant)
        return item.group, born, item.deadline, item.queue, tenant, item.tokens

    def _on_events(self) -> None:
        dispatched: list[tuple[Entry, int]] = []
        for id_, batch, kind in self._scheduler.poll().tolist():
            entry = self._waiting.pop(id_, None)
            if kind != EventKind.DISPATCHED:
                if entry is not None:
                    self._refuse(entry, self._refusals.of_event(entry.item.queue, kind))
            elif entry is None:
                self._finished[False].append(id_)
                self._flush_soon()
            else:
                entry.state = State.IN_FLIGHT
                if entry.future.done():
                    self.finish(entry, ok=False)
                else:
                    dispatched.append((entry, batch))
        if dispatched:
            self._start(dispatched)

    def _refuse(self, entry: Entry, error: BudgetMemError) -> None:
        self._end(entry)
        if not entry.future.done():
            entry.future.set_exception(error)

    def _end(self, entry: Entry) -> None:
        if entry.state is not State.UNSENT:
            self._tenants.release(entry.item.tenant)
        entry.state = State.OVER
        self._live -= 1
        if self._closed and not self._live:
            self._drained.set()


def _ids(ids: Sequence[int]) -> interface.Ids:
    return np.array(ids, np.uint64)
