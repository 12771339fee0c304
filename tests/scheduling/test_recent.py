"""The bounded memory of the task models."""

import asyncio

import pytest

from budgetmem.scheduling.recent import Forgotten, Recent


async def upper(texts):
    return [text.upper() for text in texts]


async def resolve(recent, *texts):
    """What the memory returned, and what it had to compute."""
    asked = []

    async def upper(missing):
        asked.extend(missing)
        return [text.upper() for text in missing]

    return await recent.resolve("ana", texts, upper), asked


async def test_results_follow_the_texts_and_each_is_computed_once():
    recent = Recent(10)
    assert await resolve(recent, "a", "b", "a") == (["A", "B", "A"], ["a", "b"])
    assert recent.count("ana", ["b", "c", "b"]) == 2
    assert await resolve(recent, "b", "c") == (["B", "C"], ["c"])


async def test_the_text_longest_unused_goes_first():
    recent = Recent(2)
    await resolve(recent, "a", "b")
    await resolve(recent, "a")
    await resolve(recent, "c")
    assert (await resolve(recent, "a", "c"))[1] == []
    assert (await resolve(recent, "b"))[1] == ["b"]


async def test_more_texts_than_it_holds_still_resolve():
    assert (await resolve(Recent(1), "a", "b", "c"))[0] == ["A", "B", "C"]


async def test_forgetting_empties_it():
    recent = Recent(2)
    await resolve(recent, "a")
    recent.forget("ben")
    assert (await resolve(recent, "a"))[1] == []
    recent.forget("ana")
    assert (await resolve(recent, "a"))[1] == ["a"]
    assert recent.count("ben", ["a"]) == 0


async def test_everybodys_may_be_forgotten_at_once():
    recent = Recent(2)
    await resolve(recent, "a")
    recent.forget_all()
    assert (await resolve(recent, "a"))[1] == ["a"]


class Times:
    """A clock that says what it is told."""

    def __init__(self):
        self.now = 10.0

    def __call__(self):
        return self.now


class Asked:
    """A computation that waits until it is told to go on."""

    def __init__(self):
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, texts):
        self.begun.set()
        await self.go_on.wait()
        return [text.upper() for text in texts]


@pytest.mark.parametrize("forget", [lambda r: r.forget("ana"), lambda r: r.forget_all()])
async def test_what_was_asked_before_its_tenant_was_forgotten_is_not_kept(forget):
    recent, compute = Recent(10), Asked()
    await resolve(recent, "b")
    asking = asyncio.create_task(recent.resolve("ana", ["a", "b"], compute))
    await compute.begun.wait()
    forget(recent)
    compute.go_on.set()
    assert await asking == ["A", "B"]
    assert recent.count("ana", ["a", "b"]) == 0


async def test_others_keep_what_they_asked_meanwhile():
    recent, compute = Recent(10), Asked()
    asking = asyncio.create_task(recent.resolve("ana", ["a"], compute))
    await compute.begun.wait()
    recent.forget("ben")
    compute.go_on.set()
    await asking
    assert recent.count("ana", ["a"]) == 1


async def test_a_request_that_began_before_keeps_nothing_of_what_it_asks_later():
    """It may have read the text before the text was erased."""
    clock = Times()
    recent = Recent(10, clock)
    clock.now = 20.0
    recent.forget("ana")
    clock.now = 30.0
    for born in (0.0, 15.0):
        await recent.resolve("ana", ["a"], upper, born=born)
    assert recent.count("ana", ["a"]) == 0
    await recent.resolve("ana", ["a"], upper, born=25.0)
    assert recent.count("ana", ["a"]) == 1


def test_when_a_tenant_was_forgotten_is_known_at_least_as_late_as_it_was():
    forgotten = Forgotten(2)
    for second, tenant in enumerate(["ana", "ben", "ana", "cleo"], start=1):
        forgotten.note(tenant, float(second))
    assert [forgotten.last(each) for each in ("ana", "ben", "cleo", "dan")] == [3, 2, 4, 2]
    forgotten.note_all(9.0)
    forgotten.note("dan", 10.0)
    assert [forgotten.last(each) for each in ("ana", "cleo", "dan")] == [9, 9, 10]
