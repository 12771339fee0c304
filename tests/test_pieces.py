"""Long work of one tenant is done so that others get their turn at the one worker."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from budgetmem.backbone import HashEncoder
from budgetmem.config import ChunkingProfile, RetrievalProfile
from budgetmem.history import Histories
from budgetmem.pieces import AT_ONCE
from budgetmem.planning import Plan, Planner
from budgetmem.store.base import SessionState
from budgetmem.store.paging import PAGE_TURNS
from budgetmem.types import Turn


class CountingStore:
    """Histories by the thousand; notes how far the reading was when something else was asked."""

    def __init__(self, many):
        self.many = many
        self.read = 0
        self.met = []

    def histories(self, tenant):
        for number in range(self.many):
            self.read += 1
            yield f"h{number}"

    def turns(self, tenant, history):
        for number in range(self.many):
            self.read += 1
            yield Turn(f"t{number}", "Ana", "x")

    def info(self, tenant, history):
        self.met.append(self.read)


@pytest.fixture
def worker():
    with ThreadPoolExecutor(1) as pool:
        yield pool


def opened(store, worker):
    return Histories(store, HashEncoder(), RetrievalProfile(), threads=worker)


async def test_a_list_is_asked_for_beside_the_event_loop(worker):
    asked = []

    class Store:
        def histories(self, tenant):
            asked.append(threading.current_thread())
            return iter(["h"])

    assert await opened(Store(), worker).list("t") == ["h"]
    assert threading.current_thread() not in asked


async def test_others_get_in_between_while_many_histories_are_listed(worker):
    store = CountingStore(20 * AT_ONCE)
    histories = opened(store, worker)
    listing = asyncio.ensure_future(histories.list("t"))
    while not listing.done():
        await histories.info("t", "h")
    assert await listing == [f"h{number}" for number in range(store.many)]
    between = {read for read in store.met if 0 < read < store.many}
    assert len(between) >= 10, "the worker was lent out after every piece"


async def test_others_get_in_between_while_a_long_turn_is_cut(worker):
    """A turn of 1 MB takes ten seconds of a processor."""
    asyncio.get_running_loop().set_default_executor(worker)
    counted, met = [], []

    class Counter:
        def count(self, text):
            counted.append(text)
            return len(text.split())

    long = Plan("s", SessionState(), (Turn("t", "Ana", "word " * 20_000),), frozenset())
    planner = Planner(HashEncoder(), ChunkingProfile(), Counter(), None)
    planning = asyncio.ensure_future(planner.changes([long]))
    while not planning.done():
        met.append(await asyncio.to_thread(len, counted))
    [change] = await planning
    assert sum(len(unit.lines[unit.focus].text.split()) - 1 for unit, _ in change.added) == 20_000
    assert len(set(met)) > 10, "the worker was lent out after every piece"


async def test_an_export_reads_no_further_than_it_is_read(worker):
    store = CountingStore(10 * PAGE_TURNS)
    turns = opened(store, worker).export("t", "h")
    first = await anext(turns)
    assert (first.id, store.read) == ("t0", PAGE_TURNS)
    rest = [turn.id async for turn in turns]
    assert (len(rest), rest[-1]) == (store.many - 1, f"t{store.many - 1}")
