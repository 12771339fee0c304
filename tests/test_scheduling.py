import asyncio
from collections.abc import Callable

import pytest

from budgetmem.errors import BackboneError
from budgetmem.scheduling import PrefixGroups


class Engine:
    """Records what happens; a call's prefill ends when the test says so."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.prefilled = asyncio.Event()

    async def call(self, name: str, first_token: Callable[[], None]) -> str:
        self.events.append(f"{name} starts")
        await self.prefilled.wait()
        first_token()
        self.events.append(f"{name} first token")
        await asyncio.sleep(0)
        return name


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_siblings_follow_the_leaders_first_token():
    groups, engine = PrefixGroups(), Engine()
    runs = [
        asyncio.create_task(groups.run("high", "memories", lambda t, n=name: engine.call(n, t)))
        for name in ("entity", "temporal", "topic")
    ]
    await settle()
    assert engine.events == ["entity starts"]
    engine.prefilled.set()
    assert await asyncio.gather(*runs) == ["entity", "temporal", "topic"]
    assert engine.events[:2] == ["entity starts", "entity first token"]


@pytest.mark.parametrize(("backbone", "prefix"), [("low", "memories"), ("high", "others")])
async def test_other_backbones_and_prefixes_do_not_wait(backbone: str, prefix: str):
    groups, engine = PrefixGroups(), Engine()
    first = asyncio.create_task(groups.run("high", "memories", lambda t: engine.call("a", t)))
    second = asyncio.create_task(groups.run(backbone, prefix, lambda t: engine.call("b", t)))
    await settle()
    assert engine.events == ["a starts", "b starts"]
    engine.prefilled.set()
    await asyncio.gather(first, second)


async def test_a_failed_leader_hands_over_the_lead():
    groups, engine = PrefixGroups(), Engine()

    async def fail(first_token: Callable[[], None]) -> str:
        await asyncio.sleep(0)
        raise BackboneError("gone")

    leader = asyncio.create_task(groups.run("high", "memories", fail))
    siblings = [
        asyncio.create_task(groups.run("high", "memories", lambda t, n=name: engine.call(n, t)))
        for name in ("b", "c")
    ]
    await settle()
    with pytest.raises(BackboneError):
        await leader
    assert engine.events == ["b starts"]
    engine.prefilled.set()
    assert await asyncio.gather(*siblings) == ["b", "c"]


async def test_a_cancelled_leader_hands_over_the_lead():
    groups, engine = PrefixGroups(), Engine()
    leader = asyncio.create_task(groups.run("high", "memories", lambda t: engine.call("a", t)))
    sibling = asyncio.create_task(groups.run("high", "memories", lambda t: engine.call("b", t)))
    await settle()
    leader.cancel()
    await settle()
    assert engine.events == ["a starts", "b starts"]
    engine.prefilled.set()
    assert await sibling == "b"
