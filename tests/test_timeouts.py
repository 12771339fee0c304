"""Work that is waited for so long and no longer, for as long as somebody waits."""

import asyncio

import pytest

from budgetmem.errors import DeadlineExceeded
from budgetmem.timeouts import in_line, within


async def work(gate, ended):
    try:
        await gate.wait()
        return "done"
    finally:
        ended.append(True)


@pytest.mark.parametrize("seconds", [None, 60])
async def test_it_gives_what_the_work_gives(seconds):
    gate = asyncio.Event()
    gate.set()
    assert await within(seconds, work(gate, [])) == "done"


async def test_it_raises_what_the_work_raises():
    async def broken():
        raise KeyError("a")

    with pytest.raises(KeyError):
        await within(60, broken())


@pytest.mark.parametrize("seconds", [0, 0.01])
async def test_what_takes_longer_is_ended(seconds):
    ended = []
    with pytest.raises(asyncio.TimeoutError):
        await within(seconds, work(asyncio.Event(), ended))
    assert ended or seconds == 0  # then it was not begun


@pytest.mark.parametrize("ticks", range(6))
async def test_who_leaves_as_the_work_ends_has_left(ticks):
    gate, ended = asyncio.Event(), []
    waiting = asyncio.ensure_future(within(60, work(gate, ended)))
    while not gate._waiters:
        await asyncio.sleep(0)
    gate.set()
    for _ in range(ticks):
        await asyncio.sleep(0)
    if not waiting.cancel():
        assert await waiting == "done"
        return
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended


@pytest.mark.parametrize("late", [False, True])
async def test_who_is_cut_off_in_line_had_no_time_left_only_if_it_is_late(late):
    async def queue():
        with in_line(lambda: late):
            await asyncio.Event().wait()

    with pytest.raises(DeadlineExceeded if late else asyncio.TimeoutError):
        await within(0.01, queue())
