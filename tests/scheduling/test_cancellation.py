"""Callers that go away, at every point: nothing is called for them, and credits come back once."""

import asyncio
import random

import pytest

from budgetmem.errors import BackboneError, DeadlineExceeded
from budgetmem.scheduling.tier_scheduler import Work
from tests.scheduling.harness import ENCODE, EXTRACT, SECOND, Bench, Held, call_of, extract, plan


async def ended(task: asyncio.Task) -> None:
    with pytest.raises(asyncio.CancelledError):
        await task


async def never(on_first_token):
    raise AssertionError("called for a caller that has gone")


async def test_before_the_end_of_its_tick(make_bench):
    bench = make_bench(plan())
    task = asyncio.create_task(bench.tiers.run(extract(), never))
    await asyncio.sleep(0)
    task.cancel()
    await ended(task)
    assert bench.core.submitted == []
    assert bench.counts() == {}


async def test_in_line(make_bench):
    bench, held = make_bench(plan()), Held()
    first = asyncio.create_task(bench.tiers.run(extract(), held))
    await held.started.wait()
    task = asyncio.create_task(bench.tiers.run(extract(), never))
    await bench.until(waiting=1)
    task.cancel()
    await ended(task)
    assert bench.counts() == {"accepted": 2, "dispatched": 1, "in_flight": 1, "cancelled": 1}
    held.go.set()
    assert await first == "done"
    await bench.until(finished=1)
    assert bench.tiers.stats().backbones["high"]["credits_in_use"] == 0


async def test_in_line_when_time_is_over(make_bench):
    bench, held = make_bench(plan()), Held()
    first = asyncio.create_task(bench.tiers.run(extract(), held))
    await held.started.wait()
    late = [
        asyncio.create_task(bench.tiers.run(extract(deadline=5.0), never)),
        asyncio.create_task(bench.tiers.map([extract(deadline=5.0)], ["a"], never)),
    ]
    await bench.until(waiting=2)
    bench.clock.advance(5 * SECOND)
    for task in late:
        task.cancel()
        with pytest.raises(DeadlineExceeded):
            await task
    held.go.set()
    assert await first == "done"


async def test_in_a_batch_that_was_sent_when_time_is_over(make_bench):
    bench, sent = make_bench(plan()), asyncio.Event()

    async def batch(_texts):
        sent.set()
        await asyncio.Event().wait()

    work = Work(ENCODE, deadline=5.0)
    task = asyncio.create_task(bench.tiers.map([work, work], ["a", "b"], batch))
    await sent.wait()
    bench.clock.advance(5 * SECOND)
    task.cancel()
    await ended(task)


async def test_in_flight(make_bench):
    bench, held = make_bench(plan()), Held()
    task = asyncio.create_task(bench.tiers.run(extract(), held))
    await held.started.wait()
    task.cancel()
    await ended(task)
    assert held.cancelled
    await bench.until(failed=1)
    assert bench.core.finished == [(1, False)]
    assert bench.counts() == {"accepted": 1, "dispatched": 1, "failed": 1}


async def dispatched_unseen(bench: Bench, first: Held) -> asyncio.Task:
    """A task whose item the core has dispatched, while the loop has not polled yet: a credit came
    from elsewhere. `first` has the other one."""
    asyncio.create_task(bench.tiers.run(extract(), first))  # noqa: RUF006
    await first.started.wait()
    task = asyncio.create_task(bench.tiers.run(extract(), never))
    await bench.until(waiting=1)
    bench.core.set_credits(0, 2)
    while bench.counts()["dispatched"] < 2:
        pass  # the core's thread may be at it; the loop does not turn
    return task


async def one_failed_dispatch(bench: Bench, first: Held) -> None:
    await bench.until(failed=1)
    assert bench.core.finished == [(1, False)]
    assert bench.counts() == {"accepted": 2, "dispatched": 2, "failed": 1, "in_flight": 1}
    assert await bench.tiers.run(extract(), call_of("next")) == "next"
    first.go.set()
    await bench.until(finished=2)


async def test_before_its_dispatch_is_polled(make_bench):
    bench, first = make_bench(plan()), Held()
    task = await dispatched_unseen(bench, first)
    task.cancel()
    await ended(task)
    await one_failed_dispatch(bench, first)


async def test_in_the_tick_of_its_dispatch_before_it_is_seen(make_bench):
    bench, first = make_bench(plan()), Held()
    task = await dispatched_unseen(bench, first)
    await asyncio.sleep(0)  # the loop has found the descriptor readable; its callback comes next
    task.cancel()
    await ended(task)
    await one_failed_dispatch(bench, first)


async def test_in_the_tick_of_its_dispatch_after_it_is_seen(make_bench):
    bench, first = make_bench(plan()), Held()
    task = await dispatched_unseen(bench, first)
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(task.cancel)  # after the callback, before the task
    await ended(task)
    await one_failed_dispatch(bench, first)


@pytest.mark.parametrize("seed", range(5))
async def test_at_random_points_every_item_ends_once(make_bench, seed):
    chance = random.Random(seed)
    bench = make_bench(plan(credits=3, capacity=1000, tenant_capacity=1000))

    async def call(on_first_token):
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        on_first_token()
        if chance.random() < 0.2:
            raise BackboneError("failed")

    async def encode(texts):
        await asyncio.sleep(0)
        return [len(text) for text in texts]

    def work(queue):
        prefix = chance.choice(("", "memories"))
        return Work(
            queue, tenant=chance.choice("abc"), tokens=chance.randrange(1, 50), prefix=prefix
        )

    def start() -> asyncio.Task:
        if chance.random() < 0.7:
            return asyncio.create_task(bench.tiers.run(work(EXTRACT), call))
        texts = ["x" * n for n in range(chance.randrange(6))]
        return asyncio.create_task(bench.tiers.map([work(ENCODE) for _ in texts], texts, encode))

    tasks = []
    for _ in range(150):
        tasks.append(start())
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        if chance.random() < 0.4:
            chance.choice(tasks).cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert result is None or isinstance(
            result, list | asyncio.CancelledError | BackboneError
        ), result
    seen = {number for items in bench.core.submitted for number in items["tenant"].tolist()}
    for tenant in "abc":  # all forgotten: they come back under new numbers
        await bench.tiers.run(extract(tenant=tenant), call_of())
        assert bench.core.submitted[-1]["tenant"][0] not in seen
    await bench.tiers.close()
    for queue in (EXTRACT, ENCODE):
        counts = dict.fromkeys(("cancelled", "finished", "failed", "waiting", "in_flight"), 0)
        counts |= bench.counts(queue)
        assert counts["waiting"] == counts["in_flight"] == 0
        assert counts["dispatched"] == counts["finished"] + counts["failed"]
        assert counts["accepted"] == counts["dispatched"] + counts["cancelled"]
    backbones = bench.tiers.stats().backbones
    assert [backbones[name]["credits_in_use"] for name in ("high", "encoder")] == [0, 0]
    total = sum(
        sum(bench.counts(q).get(n, 0) for n in ("finished", "failed")) for q in (EXTRACT, ENCODE)
    )
    assert sum(n for n, _ in bench.core.finished) == total  # and nothing was finished twice
