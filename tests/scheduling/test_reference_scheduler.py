"""The thread and the descriptor around the reference core."""

import os
import select
import threading
import time

import numpy as np
import pytest

from budgetmem.errors import InvalidInput
from budgetmem.scheduling.interface import EVENT, Admission, EventKind
from budgetmem.scheduling.reference_scheduler import ManualClock, ReferenceScheduler

from .story import id_array, item_rows, one_queue

SOON = 10.0  # seconds, for what happens at once


def readable(scheduler: ReferenceScheduler, seconds: float = 0) -> bool:
    return bool(select.select([scheduler.fileno()], [], [], seconds)[0])


def wait_events(scheduler: ReferenceScheduler) -> list[tuple[int, int, int]]:
    assert readable(scheduler, SOON)
    return scheduler.poll().tolist()


@pytest.fixture
def clock():
    return ManualClock(1000)


@pytest.fixture
def scheduler(clock):
    scheduler = ReferenceScheduler(one_queue(leader_timeout=50), clock)
    yield scheduler
    scheduler.close()


def test_what_is_submitted_is_dispatched_and_told_once(scheduler):
    ids, answers = scheduler.submit(item_rows({}))
    assert answers.tolist() == [Admission.ACCEPTED]
    assert wait_events(scheduler) == [(ids[0], 1, EventKind.DISPATCHED)]
    assert not readable(scheduler)
    empty = scheduler.poll()
    assert (len(empty), empty.dtype) == (0, EVENT)


def test_one_signal_for_all_events_before_a_poll(scheduler):
    scheduler.set_credits(0, 5)
    scheduler.submit(item_rows({}, {}))
    first = wait_events(scheduler)
    scheduler.submit(item_rows({}, {}, {}))
    more = []
    while len(first) + len(more) < 5:
        more += wait_events(scheduler)
    assert sorted(number for number, _, _ in first + more) == [1, 2, 3, 4, 5]
    with pytest.raises(BlockingIOError):
        os.eventfd_read(scheduler.fileno())


def test_finishing_lets_the_next_one_go(scheduler, clock):
    ids, _ = scheduler.submit(item_rows({}, {}))
    wait_events(scheduler)
    clock.advance(7)
    assert scheduler.finish(ids[:1], True) == 1
    assert wait_events(scheduler) == [(ids[1], 2, EventKind.DISPATCHED)]
    assert scheduler.queue_stats()[0]["service_ns"] == 7
    assert scheduler.backbone_stats()[0]["batches"] == 2


def test_a_first_token_releases_siblings(scheduler):
    scheduler.set_credits(0, 2)
    ids, _ = scheduler.submit(item_rows({"group": 7}, {"group": 7}))
    assert len(wait_events(scheduler)) == 1
    scheduler.first_token(ids[:1])
    assert wait_events(scheduler) == [(ids[1], 2, EventKind.DISPATCHED)]


def test_cancelling(scheduler):
    ids, _ = scheduler.submit(item_rows({}, {}))
    wait_events(scheduler)
    assert scheduler.cancel(ids) == 1
    assert scheduler.queue_stats()[0]["cancelled"] == 1


def test_advancing_the_clock_wakes_timers(scheduler, clock):
    scheduler.submit(item_rows({"group": 7}, {"group": 7}, {"deadline": 1020}))
    assert len(wait_events(scheduler)) == 1
    clock.advance(21)
    assert scheduler.now() == 1021
    assert wait_events(scheduler) == [(3, 0, EventKind.EXPIRED)]
    scheduler.set_credits(0, 2)
    clock.advance(29)
    assert wait_events(scheduler) == [(2, 2, EventKind.DISPATCHED)]
    with pytest.raises(InvalidInput, match="by"):
        clock.advance(-1)


def test_without_a_clock_timers_are_waited_for():
    scheduler = ReferenceScheduler(one_queue())
    start = time.monotonic_ns()
    assert scheduler.now() >= start
    deadline = scheduler.now() + 30_000_000
    scheduler.submit(item_rows({}, {"deadline": deadline}))
    assert len(wait_events(scheduler)) == 1
    assert wait_events(scheduler) == [(2, 0, EventKind.EXPIRED)]
    assert time.monotonic_ns() > deadline
    scheduler.close()


class HeldClock:
    """Wakes nobody, as the C++ one as seen from Python."""

    time = 5

    def now(self) -> int:
        return self.time


def test_timers_of_another_held_clock_come_with_the_next_call():
    clock = HeldClock()
    scheduler = ReferenceScheduler(one_queue(), clock)
    scheduler.submit(item_rows({}, {"deadline": 20}))
    assert len(wait_events(scheduler)) == 1
    clock.time = 21
    scheduler.finish(id_array([]), True)
    assert wait_events(scheduler) == [(2, 0, EventKind.EXPIRED)]
    scheduler.close()


def test_closing_tells_what_waits_and_may_come_twice(scheduler):
    ids, _ = scheduler.submit(item_rows({}, {}))
    wait_events(scheduler)
    scheduler.close()
    scheduler.close()
    assert wait_events(scheduler) == [(ids[1], 0, EventKind.CLOSED)]
    assert scheduler.submit(item_rows({}))[1].tolist() == [Admission.CLOSED]
    assert scheduler.finish(ids, True) == 1
    assert not readable(scheduler)


def test_bad_input_reaches_the_caller_and_the_scheduler_lives(scheduler):
    with pytest.raises(InvalidInput, match="queue"):
        scheduler.submit(item_rows({"queue": 1}))
    with pytest.raises(InvalidInput, match="credits"):
        scheduler.set_credits(0, 0)
    scheduler.submit(item_rows({}))
    assert len(wait_events(scheduler)) == 1


def test_many_threads_lose_nothing():
    scheduler = ReferenceScheduler(
        one_queue(credits=3, batch_items=4, capacity=10_000, tenant_capacity=10_000)
    )
    done: list[int] = []

    def submit(tenant: int) -> None:
        for _ in range(50):
            scheduler.submit(item_rows(*[{"tenant": tenant}] * 5))

    threads = [threading.Thread(target=submit, args=(tenant,)) for tenant in range(4)]
    for thread in threads:
        thread.start()
    while len(done) < 1000:
        assert readable(scheduler, SOON)
        ids = scheduler.poll()["id"].copy()
        assert scheduler.finish(ids, True) == len(ids)
        done += ids.tolist()
    for thread in threads:
        thread.join()
    scheduler.close()
    assert sorted(done) == list(range(1, 1001))
    assert scheduler.backbone_stats()[0]["credits_in_use"] == 0


def test_the_descriptor_goes_with_the_scheduler():
    scheduler = ReferenceScheduler(one_queue(), ManualClock())
    number = scheduler.fileno()
    assert not os.get_inheritable(number)
    scheduler.close()
    del scheduler
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_ids_of_events_are_those_of_submit(scheduler):
    ids, _ = scheduler.submit(item_rows({}))
    assert readable(scheduler, SOON)
    events = scheduler.poll()
    assert events.dtype == EVENT
    assert np.array_equal(events["id"], ids)
