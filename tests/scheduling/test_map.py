"""TierScheduler.map: batches, and the callers that share them."""

import asyncio

import pytest

from budgetmem.errors import BackboneError, InvalidInput, Overloaded
from budgetmem.scheduling.interface import BackbonePlan
from budgetmem.scheduling.tier_scheduler import Work
from tests.scheduling.harness import ENCODE, Held, call_of, plan, sizes, until

WORK = Work(ENCODE)


class Encoder:
    """Doubles numbers, as soon as it may; keeps the batches it was given."""

    def __init__(self, held: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.cancelled = 0
        self.go = asyncio.Event()
        if not held:
            self.go.set()

    async def encode(self, numbers: list[int]) -> list[int]:
        self.batches.append(numbers)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return [2 * number for number in numbers]


async def blocked(bench) -> tuple[Held, asyncio.Task]:
    """Takes the encoder's one credit, so that what comes next stands in line."""
    held = Held()
    task = asyncio.create_task(bench.tiers.run(WORK, held))
    await held.started.wait()
    return held, task


def mapped(bench, numbers, call) -> asyncio.Task:
    return asyncio.create_task(bench.tiers.map([WORK] * len(numbers), numbers, call))


async def test_results_are_in_the_order_of_the_payloads(make_bench):
    bench, encoder = make_bench(plan(credits=2)), Encoder()
    numbers = list(range(30))
    works = [Work(ENCODE, tenant=str(n % 3), deadline=1000.0 - n) for n in numbers]
    assert await bench.tiers.map(works, numbers, encoder.encode) == [2 * n for n in numbers]
    seen = [number for batch in encoder.batches for number in batch]
    assert sorted(seen) == numbers
    assert seen != numbers  # the later deadlines came first
    assert max(map(len, encoder.batches)) == 4
    await bench.until(ENCODE, finished=30)
    assert bench.tiers.stats().backbones["encoder"]["batches"] == len(encoder.batches)


async def test_callers_share_a_batch(make_bench):
    bench, encoder = make_bench(plan()), Encoder()
    held, first = await blocked(bench)
    tasks = [mapped(bench, [1, 2], encoder.encode), mapped(bench, [3, 4], encoder.encode)]
    await bench.until(ENCODE, waiting=4)
    held.go.set()
    assert await asyncio.gather(first, *tasks) == ["done", [2, 4], [6, 8]]
    assert encoder.batches == [[1, 2, 3, 4]]
    await bench.until(ENCODE, finished=5)
    assert bench.core.finished == [(1, True), (4, True)]


async def test_different_calls_share_a_credit_but_no_batch(make_bench):
    bench, one, other = make_bench(plan()), Encoder(), Encoder(held=True)
    held, first = await blocked(bench)
    tasks = [mapped(bench, [1, 2], one.encode), mapped(bench, [3, 4], other.encode)]
    await bench.until(ENCODE, waiting=4)
    held.go.set()
    assert await asyncio.gather(first, tasks[0]) == ["done", [2, 4]]
    assert one.batches == [[1, 2]]
    assert other.batches == [[3, 4]]
    await bench.until(ENCODE, finished=3)
    assert bench.tiers.stats().backbones["encoder"]["credits_in_use"] == 1
    other.go.set()
    assert await tasks[1] == [6, 8]
    await bench.until(ENCODE, finished=5)
    stats = bench.tiers.stats().backbones["encoder"]
    assert (stats["batches"], stats["credits_in_use"]) == (2, 0)


async def test_a_caller_that_goes_leaves_the_batch_to_the_others(make_bench):
    bench, encoder = make_bench(plan()), Encoder(held=True)
    held, first = await blocked(bench)
    gone, stays = mapped(bench, [1, 2], encoder.encode), mapped(bench, [3], encoder.encode)
    await bench.until(ENCODE, waiting=3)
    held.go.set()
    await until(lambda: bool(encoder.batches))
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    encoder.go.set()
    assert await stays == [6]
    assert await first == "done"
    assert encoder.cancelled == 0
    await bench.until(ENCODE, finished=4)


async def test_a_batch_without_callers_is_cancelled(make_bench):
    bench, encoder = make_bench(plan(credits=2)), Encoder(held=True)
    tasks = [mapped(bench, [1, 2, 3], encoder.encode), mapped(bench, [4], encoder.encode)]
    await until(lambda: sum(map(len, encoder.batches)) == 4)
    for task in tasks:
        task.cancel()
    assert len(await asyncio.gather(*tasks, return_exceptions=True)) == 2
    await until(lambda: encoder.cancelled == len(encoder.batches))
    await bench.until(ENCODE, failed=4)
    assert bench.counts(ENCODE) == {"accepted": 4, "dispatched": 4, "failed": 4}
    assert bench.tiers.stats().backbones["encoder"]["credits_in_use"] == 0


async def test_a_cancelled_caller_leaves_the_line(make_bench):
    bench, encoder = make_bench(plan()), Encoder()
    held, first = await blocked(bench)
    task = mapped(bench, list(range(10)), encoder.encode)
    await bench.until(ENCODE, waiting=10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.counts(ENCODE)["cancelled"] == 10
    held.go.set()
    await first
    assert encoder.batches == []


async def test_a_failure_goes_to_all_callers_of_the_batch_and_no_others(make_bench):
    bench, encoder = make_bench(plan()), Encoder()
    held, first = await blocked(bench)

    async def fail_on_three(numbers):
        if 3 in numbers:
            raise BackboneError("broken")
        return numbers

    # Batches of four: [1, 2, 3, 10], then [11, 20, 21], perhaps without 11.
    tasks = [mapped(bench, numbers, fail_on_three) for numbers in ([1, 2, 3], [10, 11], [20, 21])]
    await bench.until(ENCODE, waiting=7)
    held.go.set()
    results = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert [str(error) for error in results[1:3]] == ["broken", "broken"]
    assert results[3] == [20, 21]
    await bench.until(ENCODE, failed=4)
    counts = bench.counts(ENCODE)
    assert counts["accepted"] == 8
    assert counts["failed"] + counts["finished"] + counts.get("cancelled", 0) == 8
    assert await mapped(bench, [5], encoder.encode) == [10]


async def test_another_number_of_results_is_an_error_of_the_backbone(make_bench):
    bench = make_bench(plan())

    async def too_few(numbers):
        return numbers[1:]

    held, first = await blocked(bench)
    task = mapped(bench, [1, 2, 3], too_few)
    await bench.until(ENCODE, waiting=3)
    held.go.set()
    await first
    with pytest.raises(BackboneError, match="2 results for a batch of 3"):
        await task


async def test_too_much_for_the_queue_leaves_nothing_behind(make_bench):
    bench, encoder = make_bench(plan(capacity=5)), Encoder()
    held, first = await blocked(bench)
    with pytest.raises(Overloaded, match="retrieve/encoder"):
        await mapped(bench, list(range(8)), encoder.encode)
    counts = bench.counts(ENCODE)
    assert (counts["cancelled"], counts["full"], counts.get("waiting", 0)) == (5, 3, 0)
    held.go.set()
    await first
    assert encoder.batches == []
    assert await mapped(bench, [1, 2], encoder.encode) == [2, 4]


async def test_a_long_ingest_stands_in_line_slice_by_slice(make_bench):
    batches = BackbonePlan(credits=1, batch_items=256)
    bench = make_bench(plan(capacity=4096, tenant_capacity=1024, encoder=batches))
    encoder, numbers = Encoder(), list(range(2500))
    assert await mapped(bench, numbers, encoder.encode) == [2 * n for n in numbers]
    assert sizes(bench.core.submitted) == [1024, 1024, 452]


async def test_nothing_maps_to_nothing(make_bench):
    bench = make_bench(plan())
    assert await mapped(bench, [], Encoder().encode) == []
    assert bench.core.submitted == []


async def test_arguments_that_do_not_fit_together(make_bench):
    bench = make_bench(plan())
    with pytest.raises(InvalidInput, match="payloads: 2 for 1 works"):
        await bench.tiers.map([WORK], [1, 2], Encoder().encode)
    with pytest.raises(InvalidInput, match="call: is not hashable"):
        await bench.tiers.map([WORK], [1], type("Call", (), {"__hash__": None})())


async def test_closing_waits_for_batches(make_bench):
    bench, encoder = make_bench(plan()), Encoder(held=True)
    task = mapped(bench, [1], encoder.encode)
    await until(lambda: bool(encoder.batches))
    closing = asyncio.create_task(bench.tiers.close())
    await asyncio.sleep(0)
    assert not closing.done()
    encoder.go.set()
    await closing
    assert bench.counts(ENCODE)["finished"] == 1
    assert await task == [2]


async def test_calls_and_batches_share_a_backbone(make_bench):
    bench, encoder = make_bench(plan()), Encoder()
    results = await asyncio.gather(
        mapped(bench, [1, 2], encoder.encode), bench.tiers.run(WORK, call_of("one"))
    )
    assert results == [[2, 4], "one"]
