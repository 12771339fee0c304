from __future__ import annotations

import asyncio

import pytest

from server.streaming import observed


async def test_events_come_while_the_work_goes_on():
    release = asyncio.Event()

    async def run(tell):
        tell("first")
        await release.wait()
        tell("second")
        return "result"

    stream = observed(run)
    assert await anext(stream) == "first"
    release.set()
    assert [event async for event in stream] == ["second", "result"]


async def test_an_error_comes_after_what_was_told():
    async def run(tell):
        tell(1)
        raise ValueError("broken")

    stream = observed(run)
    assert await anext(stream) == 1
    with pytest.raises(ValueError, match="broken"):
        await anext(stream)


async def test_closing_cancels_the_work_and_waits_for_its_end():
    ended = []

    async def run(tell):
        tell(1)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    stream = observed(run)
    await anext(stream)
    await stream.aclose()
    assert ended == [True]
