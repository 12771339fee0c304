import asyncio
import math

import pytest

from budgetmem.errors import DeadlineExceeded, InvalidInput, Overloaded, ServerUnavailable
from budgetmem.scheduling.tier_scheduler import Work
from tests.scheduling.harness import (
    ANSWER,
    EXTRACT,
    SECOND,
    Held,
    call_of,
    extract,
    plan,
    sizes,
    until,
)


async def test_the_result_comes_back_and_the_credit_too(make_bench):
    bench = make_bench(plan())
    assert await bench.tiers.run(extract(), call_of(42)) == 42
    await bench.until(finished=1)
    assert bench.counts() == {"accepted": 1, "dispatched": 1, "finished": 1}
    assert bench.tiers.stats().backbones["high"]["credits_in_use"] == 0


async def test_no_more_calls_at_a_time_than_credits(make_bench):
    bench, running, most = make_bench(plan(credits=2)), 0, 0

    async def call(on_first_token):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return most

    await asyncio.gather(*(bench.tiers.run(extract(), call) for _ in range(20)))
    assert most == 2


async def test_what_comes_in_one_tick_crosses_over_as_one_array(make_bench):
    bench = make_bench(plan(credits=50))
    results = await asyncio.gather(*(bench.tiers.run(extract(), call_of(i)) for i in range(50)))
    assert results == list(range(50))
    assert sizes(bench.core.submitted) == [50]
    await bench.until(finished=50)
    assert sum(n for n, _ in bench.core.finished) == 50


async def test_one_failed_call_is_its_callers_affair(make_bench):
    bench = make_bench(plan())

    async def fail(on_first_token):
        raise KeyError("broken")

    failed, fine = await asyncio.gather(
        bench.tiers.run(extract(), fail),
        bench.tiers.run(extract(), call_of("fine")),
        return_exceptions=True,
    )
    assert isinstance(failed, KeyError)
    assert fine == "fine"
    await bench.until(failed=1, finished=1)
    assert bench.tiers.stats().backbones["high"]["credits_in_use"] == 0


async def test_a_full_queue_names_itself_and_says_when_to_come_back(make_bench):
    bench, held = make_bench(plan(capacity=1)), Held()

    async def two_seconds(on_first_token):
        bench.clock.advance(2 * SECOND)

    async def refused() -> Overloaded:
        running = asyncio.create_task(bench.tiers.run(extract(), held))
        await held.started.wait()
        waiting = asyncio.create_task(bench.tiers.run(extract(), call_of()))
        await bench.until(waiting=1)
        with pytest.raises(Overloaded, match="queue extract/high is full: 1 items wait") as caught:
            await bench.tiers.run(extract(), call_of())
        held.go.set()
        await asyncio.gather(running, waiting)
        held.go.clear()
        held.started.clear()
        return caught.value

    assert (await refused()).retry_after_ms == 1000  # nothing has been served
    await bench.tiers.run(extract(), two_seconds)
    await bench.until(finished=3)
    assert (await refused()).retry_after_ms == pytest.approx(2000 / 3)  # the mean of 0, 0 and 2 s
    bench.clock.advance(11 * SECOND)
    await bench.until(finished=5)
    assert (await refused()).retry_after_ms == pytest.approx(2000 / 5)
    await bench.tiers.run(extract(), two_seconds)
    await bench.until(finished=8)
    assert (await refused()).retry_after_ms == pytest.approx(2000 / 3)  # only the latest three


async def test_a_deadline_that_cannot_be_met_is_refused(make_bench):
    bench = make_bench(plan(fixed=SECOND))
    with pytest.raises(DeadlineExceeded, match="extract/high"):
        await bench.tiers.run(extract(deadline=1.5), call_of())
    assert bench.counts() == {"infeasible": 1}
    assert await bench.tiers.run(extract(deadline=2.0), call_of("met")) == "met"


async def test_a_deadline_that_passes_in_line_is_told(make_bench):
    bench, held = make_bench(plan()), Held()
    running = asyncio.create_task(bench.tiers.run(extract(), held))
    await held.started.wait()
    late = asyncio.create_task(bench.tiers.run(extract(deadline=5.0), call_of()))
    await bench.until(waiting=1)
    bench.clock.advance(5 * SECOND)
    with pytest.raises(DeadlineExceeded, match="extract/high"):
        await late
    held.go.set()
    assert await running == "done"
    await bench.until(finished=1)
    assert bench.counts() == {"accepted": 2, "dispatched": 1, "finished": 1, "expired": 1}


async def test_siblings_wait_for_the_leaders_first_token_reported_once(make_bench):
    bench, go, order = make_bench(plan(credits=3)), asyncio.Event(), []

    async def call(name, on_first_token):
        order.append(name)
        if name == "leader":
            await go.wait()
            on_first_token()
            on_first_token()
            await until(lambda: len(order) == 3)

    runs = [
        asyncio.create_task(
            bench.tiers.run(Work(queue, prefix="memories"), lambda t, n=name: call(n, t))
        )
        for queue, name in ((EXTRACT, "leader"), (EXTRACT, "entity"), (ANSWER, "answer"))
    ]
    await until(lambda: bool(order))
    other = Work(EXTRACT, prefix="other memories")
    await bench.tiers.run(other, call_of())
    assert order == ["leader"]
    go.set()
    await asyncio.gather(*runs)
    assert order == ["leader", "entity", "answer"]
    assert bench.core.first_tokens == [1]
    assert bench.tiers.stats().backbones["high"]["siblings"] == 2


async def test_groups_and_tenants_are_numbers_in_the_core(make_bench):
    bench = make_bench(plan(credits=10))
    works = [
        extract(prefix="a", tenant="ann"),
        Work(ANSWER, prefix="a", tenant="bob"),
        Work(("retrieve", "encoder"), prefix="a", tenant="ann"),
        extract(prefix="b"),
        extract(tokens=7),
    ]
    await asyncio.gather(*(bench.tiers.run(work, call_of()) for work in works))
    (items,) = bench.core.submitted
    groups, tenants = items["group"].tolist(), items["tenant"].tolist()
    assert groups[0] == groups[1]  # of one model
    assert len({*groups[1:4], 0}) == 4
    assert groups[4] == 0
    assert tenants[0] == tenants[2]
    assert len(set(tenants[:4])) == 3
    assert items["tokens"].tolist() == [1, 1, 1, 1, 7]
    assert items["queue"].tolist() == [0, 1, 2, 0, 0]


async def test_times_are_nanoseconds_of_the_cores_clock(make_bench):
    bench = make_bench(plan(credits=10))
    bench.clock.advance(SECOND)
    works = [
        extract(),
        extract(born=0.5, deadline=1e300),
        extract(deadline=2.5),
        extract(born=0.0),
    ]
    await asyncio.gather(*(bench.tiers.run(work, call_of()) for work in works))
    (items,) = bench.core.submitted
    assert items["born"].tolist() == [2 * SECOND, SECOND // 2, 2 * SECOND, 0]
    assert items["deadline"].tolist() == [2**63 - 1, 2**63 - 1, 5 * SECOND // 2, 2**63 - 1]


@pytest.mark.parametrize(
    ("work", "field"),
    [
        (Work(("extract", "other")), "queue"),
        (extract(tokens=0), "tokens"),
        (extract(tokens=2**20 + 1), "tokens"),
        (extract(born=math.nan), "born"),
        (extract(deadline=math.nan), "deadline"),
    ],
)
async def test_unusable_work_harms_nobody_else(make_bench, work, field):
    bench = make_bench(plan())
    bad, good = await asyncio.gather(
        bench.tiers.run(work, call_of()),
        bench.tiers.run(extract(), call_of("good")),
        return_exceptions=True,
    )
    assert isinstance(bad, InvalidInput)
    assert bad.field == field
    assert good == "good"


async def test_closing_refuses_what_waits_and_lets_calls_end(make_bench):
    bench, held = make_bench(plan()), Held()
    running = asyncio.create_task(bench.tiers.run(extract(), held))
    await held.started.wait()
    waiting = asyncio.create_task(bench.tiers.run(extract(), call_of()))
    await bench.until(waiting=1)
    unsent = asyncio.create_task(bench.tiers.run(extract(), call_of()))
    await asyncio.sleep(0)
    closing = [asyncio.create_task(bench.tiers.close()) for _ in range(2)]
    for refused in (waiting, unsent):
        with pytest.raises(ServerUnavailable):
            await refused
    assert not any(task.done() for task in closing)
    held.go.set()
    await asyncio.gather(*closing)
    assert running.done()
    assert await running == "done"
    assert bench.counts()["finished"] == 1
    assert not asyncio.get_running_loop().remove_reader(bench.core.fileno())
    await bench.tiers.close()
    with pytest.raises(ServerUnavailable):
        await bench.tiers.run(extract(), call_of())


async def test_a_block_closes_it(make_bench):
    bench = make_bench(plan())
    async with bench.tiers as tiers:
        assert await tiers.run(extract(), call_of(1)) == 1
    with pytest.raises(ServerUnavailable):
        await tiers.run(extract(), call_of())


async def test_another_event_loop_is_told_so(make_bench):
    bench = make_bench(plan())
    await bench.tiers.run(extract(), call_of())
    elsewhere = asyncio.to_thread(asyncio.run, bench.tiers.run(extract(), call_of()))
    with pytest.raises(RuntimeError, match="another event loop"):
        await elsewhere
    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, bench.tiers.close())
    assert await bench.tiers.run(extract(), call_of("still")) == "still"


async def test_stats_are_by_name(make_bench):
    bench = make_bench(plan(credits=3))
    await bench.tiers.run(Work(ANSWER), call_of())
    stats = bench.tiers.stats()
    assert [stats.queues[name]["accepted"] for name in (EXTRACT, ANSWER)] == [0, 1]
    assert {name: s["batches"] for name, s in stats.backbones.items()} == {"high": 1, "encoder": 0}
