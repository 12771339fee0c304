"""Restarts: at once after a long life, later and later after short ones, and not for ever."""

import asyncio
from dataclasses import dataclass, field

import pytest

from budgetmem.errors import BackboneUnavailable
from server.restarts import Restarts


@dataclass
class Triton:
    """Lives as long as it is told, and starts as often as it is told."""

    lives: list[float]
    starts: list[bool] = field(default_factory=list)
    seconds: float = 0.0
    waited: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    async def wait_exit(self):
        if not self.lives:
            raise asyncio.CancelledError
        self.seconds += self.lives.pop(0)
        return 137

    async def restart(self):
        if self.starts and not self.starts.pop(0):
            raise BackboneUnavailable("does not start")
        self.told.append("started")

    async def sleep(self, seconds):
        self.waited.append(seconds)
        self.seconds += seconds

    async def went(self):
        self.told.append("went")

    async def back(self):
        self.told.append("back")

    async def kept(self, **limits):
        restarts = Restarts(clock=lambda: self.seconds, sleep=self.sleep, **limits)
        await restarts.keep_running(self, self.went, self.back)


async def kept_to_the_end(triton, **limits):
    with pytest.raises(asyncio.CancelledError):
        await triton.kept(**limits)


async def test_after_a_long_life_it_starts_at_once():
    triton = Triton([100.0, 100.0])
    await kept_to_the_end(triton)
    assert triton.waited == []
    assert triton.told == ["went", "started", "back"] * 2


async def test_after_short_lives_it_starts_later_and_later():
    triton = Triton([1.0] * 5 + [100.0, 1.0])
    await kept_to_the_end(triton)
    assert triton.waited == [1.0, 2.0, 4.0, 8.0]


async def test_a_start_that_fails_is_tried_again():
    triton = Triton([100.0], starts=[False, False, False, True])
    await kept_to_the_end(triton, most_s=1.5)
    assert triton.waited == [1.0, 1.5]
    assert triton.told == ["went", "started", "back"]


async def test_it_is_not_tried_for_ever():
    never = Triton([100.0], starts=[False] * 20)
    with pytest.raises(BackboneUnavailable, match="ended 6 times within 60 s of its start"):
        await never.kept()
    assert never.told == ["went"]
    brief = Triton([1.0] * 20)
    with pytest.raises(BackboneUnavailable, match="ended 6 times"):
        await brief.kept()
    assert brief.told.count("back") == 5
