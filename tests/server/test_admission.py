"""Requests wait at the door until the pipeline has room, and tenants take turns."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from budgetmem.config import Profile, load_profile
from budgetmem.errors import DeadlineExceeded, Overloaded
from budgetmem.pipeline import ExtractRequest
from budgetmem.types import Budget
from server.admission import AdmittedExtractor
from server.assembly import open_scheduler


def profile(**scheduling) -> Profile:
    settings = load_profile("tiny").model_dump()
    settings["scheduling"] |= scheduling
    return Profile.model_validate(settings)


@dataclass
class SlowExtractor:
    """Notes who is worked on, and works until told to stop."""

    started: list[ExtractRequest] = field(default_factory=list)
    go: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def extract(self, request, observe=None):
        self.started.append(request)
        await self.go.acquire()
        return request.query

    answer = extract

    async def reached(self, count):
        while len(self.started) < count:
            await asyncio.sleep(0)


def asked(tenant, query="q", **budget) -> ExtractRequest:
    return ExtractRequest(tenant, "trip", query, budget=Budget(**budget))


async def test_a_flood_waits_for_itself_and_others_go_in_between():
    slow = SlowExtractor()
    async with open_scheduler(profile(requests=1, quantum=800)) as scheduler:
        door = AdmittedExtractor(slow, scheduler, 800)
        flood = [asyncio.ensure_future(door.extract(asked("flood"))) for _ in range(6)]
        await slow.reached(1)
        others = [asyncio.ensure_future(door.answer(asked(name))) for name in ("ana", "ben")]
        for count in range(1, 9):
            await slow.reached(count)
            assert len(slow.started) == count
            slow.go.release()
        await asyncio.gather(*flood, *others)
    order = [request.tenant for request in slow.started]
    assert sorted(order) == ["ana", "ben"] + ["flood"] * 6
    assert set(order[:5]) == {"flood", "ana", "ben"}


async def test_time_runs_while_a_request_waits():
    slow = SlowExtractor()
    async with open_scheduler(profile(requests=1)) as scheduler:
        door = AdmittedExtractor(slow, scheduler, 800, clock=lambda: 5.0)
        slow.go.release()
        assert await door.extract(asked("ana", "when?")) == "when?"
        assert slow.started[0].arrived == 5.0


async def test_a_ceiling_that_passes_at_the_door_is_a_passed_deadline():
    slow = SlowExtractor()
    async with open_scheduler(profile(requests=1)) as scheduler:
        door = AdmittedExtractor(slow, scheduler, 800)
        first = asyncio.ensure_future(door.extract(asked("ana")))
        await slow.reached(1)
        with pytest.raises(DeadlineExceeded, match=r"^budget\.max_latency_ms: 20 ms are too few"):
            await door.extract(asked("ben", max_latency_ms=20))
        hurried = replace(asked("ben", max_latency_ms=9000), deadline=door.clock() + 0.02)
        with pytest.raises(DeadlineExceeded, match=r"^queue request/pipeline: the deadline"):
            await door.extract(hurried)
        slow.go.release()
        await first
    assert len(slow.started) == 1


async def test_a_ceiling_that_passes_at_work_is_told_as_the_work_tells_it():
    class TooLate(SlowExtractor):
        async def extract(self, request, observe=None):
            raise DeadlineExceeded("budget.max_latency_ms passed while answering")

        answer = extract

    async with open_scheduler(profile(requests=1)) as scheduler:
        door = AdmittedExtractor(TooLate(), scheduler, 800)
        with pytest.raises(DeadlineExceeded, match="passed while answering"):
            await door.answer(asked("ana", max_latency_ms=9000))


async def test_too_many_of_one_tenant_are_refused_and_the_others_are_not():
    slow = SlowExtractor()
    async with open_scheduler(profile(requests=1, tenant_capacity=1)) as scheduler:
        door = AdmittedExtractor(slow, scheduler, 800)
        running = asyncio.ensure_future(door.extract(asked("ana")))
        await slow.reached(1)
        waiting = asyncio.ensure_future(door.extract(asked("ana")))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="request"):
            await door.extract(asked("ana"))
        other = asyncio.ensure_future(door.extract(asked("ben")))
        for _ in range(3):
            slow.go.release()
        await asyncio.gather(running, waiting, other)
    assert len(slow.started) == 3
