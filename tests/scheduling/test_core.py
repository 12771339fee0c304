"""budgetmem._core as Python sees it; its decisions are compared in test_parity.py."""

import gc
import os
import select
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from budgetmem import _core
from budgetmem.errors import InvalidInput
from budgetmem.scheduling.histograms import BUCKETS
from budgetmem.scheduling.interface import EVENT, MAX_TOKENS, Admission, EventKind

from .story import id_array, item_rows, one_queue

PATIENCE = 30.0


def readable(scheduler, seconds=0.0):
    return bool(select.select([scheduler.fileno()], [], [], seconds)[0])


def events(scheduler, count):
    """The next `count` events, as tuples."""
    told = []
    while len(told) < count:
        assert readable(scheduler, PATIENCE)
        told += scheduler.poll().tolist()
    return told


def test_an_item_from_admission_to_its_end():
    clock = _core.ManualClock(1000)
    scheduler = _core.Scheduler(one_queue(), clock)
    ids, answers = scheduler.submit(item_rows({}))
    assert (ids.dtype, answers.dtype) == (np.uint64, np.uint8)
    assert answers.tolist() == [Admission.ACCEPTED]
    assert events(scheduler, 1) == [(ids[0], 1, EventKind.DISPATCHED)]
    scheduler.first_token(ids)
    clock.advance(7)
    assert scheduler.now() == clock.now() == 1007
    assert scheduler.finish(ids, True) == 1
    assert scheduler.finish(ids, True) == 0
    (queue,) = scheduler.queue_stats()
    assert (queue["accepted"], queue["dispatched"], queue["finished"]) == (1, 1, 1)
    assert (queue["queued_ns"], queue["service_ns"]) == (0, 7)
    for name, bucket in {"queued": 0, "service": 7}.items():
        assert (queue[name].dtype, queue[name].shape) == (np.uint64, (BUCKETS,))
        assert np.flatnonzero(queue[name]).tolist() == [bucket]
    (backbone,) = scheduler.backbone_stats()
    assert (backbone["batches"], backbone["credits"], backbone["credits_in_use"]) == (1, 1, 0)


def test_the_descriptor_is_readable_while_there_are_events():
    scheduler = _core.Scheduler(one_queue(credits=2))
    assert not readable(scheduler)
    assert len(scheduler.poll()) == 0
    scheduler.submit(item_rows({}, {}))
    events(scheduler, 2)
    assert not readable(scheduler)
    scheduler.submit(item_rows({}, {}))
    assert not readable(scheduler)  # no credits are left
    scheduler.close()
    assert readable(scheduler)
    assert scheduler.poll()["kind"].tolist() == [EventKind.CLOSED] * 2
    assert not readable(scheduler)


def test_a_manual_clock_wakes_the_scheduler():
    clock = _core.ManualClock()
    scheduler = _core.Scheduler(one_queue(), clock)
    running, _ = scheduler.submit(item_rows({}))
    late, _ = scheduler.submit(item_rows({"deadline": 50}))
    assert events(scheduler, 1)[0][0] == running[0]
    clock.advance(50)
    assert not readable(scheduler)
    clock.advance(1)
    assert events(scheduler, 1) == [(late[0], 0, EventKind.EXPIRED)]
    for wrong in (-1, 2**63, 1.5, None):
        with pytest.raises(InvalidInput) as error:
            clock.advance(wrong)
        assert error.value.field == "by"
    assert clock.now() == 51


def test_polled_events_are_not_copied_and_outlive_the_scheduler():
    scheduler = _core.Scheduler(one_queue(credits=3))
    ids, _ = scheduler.submit(item_rows({}, {}, {}))
    scheduler.close()
    polled = scheduler.poll()
    assert polled.dtype == EVENT
    assert type(polled.base).__name__ == "PyCapsule"
    del scheduler
    gc.collect()
    assert sorted(polled["id"].tolist()) == ids.tolist()


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda one: one.submit(None), "items"),
        (lambda one: one.submit(item_rows({}).tolist()), "items"),
        (lambda one: one.submit(np.zeros(1)), "items"),
        (lambda one: one.submit(item_rows({}).reshape(1, 1)), "items"),
        (lambda one: one.submit(item_rows({}, {}, {})[::2]), "items"),
        (lambda one: one.submit(item_rows({}, {"queue": 1})), "items[1].queue"),
        (lambda one: one.submit(item_rows({"tokens": 0})), "items[0].tokens"),
        (lambda one: one.submit(item_rows({"tokens": MAX_TOKENS + 1})), "items[0].tokens"),
        (lambda one: one.first_token([1]), "ids"),
        (lambda one: one.finish(np.array([1]), True), "ids"),
        (lambda one: one.finish(np.array([1], np.uint32), True), "ids"),
        (lambda one: one.cancel(id_array([1, 2, 3])[::2]), "ids"),
        (lambda one: one.cancel(id_array([1]).reshape(1, 1)), "ids"),
        (lambda one: one.cancel(np.zeros(9, np.uint8)[1:].view(np.uint64)), "ids"),
        (lambda one: one.set_credits(0, 0), "credits"),
        (lambda one: one.set_credits(0, -1), "credits"),
        (lambda one: one.set_credits(0, True), "credits"),
        (lambda one: one.set_credits(1, 1), "backbone"),
        (lambda one: one.set_credits("0", 1), "backbone"),
    ],
)
def test_bad_arguments_are_named_and_do_no_harm(call, field):
    scheduler = _core.Scheduler(one_queue())
    with pytest.raises(InvalidInput) as error:
        call(scheduler)
    assert error.value.field == field
    assert scheduler.queue_stats()[0]["accepted"] == 0
    ids, _ = scheduler.submit(item_rows({}))
    assert events(scheduler, 1) == [(ids[0], 1, EventKind.DISPATCHED)]


def test_ok_is_a_bool():
    scheduler = _core.Scheduler(one_queue())
    with pytest.raises(TypeError):
        scheduler.finish(id_array([1]), None)


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (None, "plan.backbones"),
        (SimpleNamespace(backbones=5), "plan.backbones"),
        (SimpleNamespace(backbones=(SimpleNamespace(),)), "plan.backbones[0].credits"),
        (one_queue(credits=0), "plan.backbones[0].credits"),
        (one_queue(credits=-1), "plan.backbones[0].credits"),
        (one_queue(credits=2**32), "plan.backbones[0].credits"),
        (one_queue(credits=2**64), "plan.backbones[0].credits"),
        (one_queue(credits="2"), "plan.backbones[0].credits"),
        (one_queue(credits=2.0), "plan.backbones[0].credits"),
        (one_queue(pads=0), "plan.backbones[0].pads"),
        (one_queue(leader_timeout=2**63), "plan.backbones[0].leader_timeout"),
        (one_queue(tenant_capacity=0), "plan.queues[0].tenant_capacity"),
        (one_queue(quantum=None), "plan.quantum"),
        (replace(one_queue(), queues=()), "plan.queues"),
    ],
)
@pytest.mark.parametrize("kind", [_core.Core, _core.Scheduler])
def test_bad_plans_are_named(kind, plan, field):
    with pytest.raises(InvalidInput) as error:
        kind(plan)
    assert error.value.field == field


def test_numpy_integers_are_integers():
    core = _core.Core(one_queue(credits=np.int64(2), capacity=np.uint8(3)))
    assert core.backbone_stats()[0]["credits"] == 2
    assert core.submit(item_rows({}, {}, {}, {}), np.int64(0))[1].tolist() == [0, 0, 0, 1]


def test_a_clock_of_another_kind_is_refused():
    with pytest.raises(TypeError):
        _core.Scheduler(one_queue(), clock=5)


MANY = 200_000


@pytest.mark.parametrize(
    "call",
    [
        lambda one, items, ids: one.submit(items),
        lambda one, items, ids: one.first_token(ids),
        lambda one, items, ids: one.finish(ids, True),
        lambda one, items, ids: one.cancel(ids),
    ],
    ids=["submit", "first_token", "finish", "cancel"],
)
def test_other_threads_run_during_a_call(call, patient_threads):
    scheduler = _core.Scheduler(one_queue())
    items, ids = item_rows(*[{}] * MANY), id_array(range(MANY))
    go, ran = threading.Lock(), []
    go.acquire()
    other = threading.Thread(target=lambda: (go.acquire(), ran.append(True)))
    other.start()
    go.release()
    for _ in range(200):
        call(scheduler, items, ids)
        if ran:
            break
    released = bool(ran)  # before join(), which releases the GIL itself
    other.join()
    assert released


@pytest.fixture
def patient_threads():
    """Threads get the GIL from one another only where it is given up."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(100)
    yield
    sys.setswitchinterval(before)


def test_threads_share_a_scheduler():
    scheduler = _core.Scheduler(one_queue(credits=8, capacity=10_000, tenant_capacity=10_000))
    accepted = []

    def work():
        for _ in range(100):
            ids, _ = scheduler.submit(item_rows({}, {}))
            accepted.extend(ids.tolist())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    done = []
    while len(done) < 800:
        ids = id_array(event[0] for event in events(scheduler, 1))
        assert scheduler.finish(ids, True) == len(ids)
        done += ids.tolist()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(accepted)
    assert len(set(done)) == 800


def test_a_scheduler_that_goes_takes_its_thread_and_descriptor():
    before = len(os.listdir("/proc/self/task"))
    scheduler = _core.Scheduler(one_queue())
    descriptor = scheduler.fileno()
    assert len(os.listdir("/proc/self/task")) == before + 1
    assert "eventfd" in os.readlink(f"/proc/self/fd/{descriptor}")
    del scheduler
    assert len(os.listdir("/proc/self/task")) == before
    assert not os.path.exists(f"/proc/self/fd/{descriptor}")


PREAMBLE = """
import builtins, resource, sys, threading, time
from budgetmem import _core
from tests.scheduling.story import item_rows, one_queue
"""


# The interpreter exits while the thread is in the destructor, and ends after it.
GOES_AT_EXIT = """
class Late:
    sleep = time.sleep
    def __del__(self):
        self.sleep(2)
def let_go():
    one = _core.Scheduler(one_queue(capacity=2**20, tenant_capacity=2**20))
    one.submit(item_rows({}).repeat(2**20))
    going.set()
    del one
sys.late, going = Late(), threading.Event()
threading.Thread(target=let_go, daemon=True).start()
going.wait()
"""


@pytest.mark.parametrize(
    "script",
    [
        "one = _core.Scheduler(one_queue()); one.submit(item_rows({}, {}))",
        "one = _core.Scheduler(one_queue(), _core.ManualClock()); one.submit(item_rows({}))",
        "builtins.one = _core.Scheduler(one_queue())",
        "cycle = [_core.Scheduler(one_queue())]; cycle.append(cycle)",
        "one = _core.Scheduler(one_queue())\n"
        "threading.Thread(target=lambda: [one.poll() for _ in iter(int, 1)], daemon=True).start()",
        GOES_AT_EXIT,
    ],
    ids=["global", "manual-clock", "builtins", "cycle", "daemon-thread", "goes-at-exit"],
)
def test_a_forgotten_scheduler_does_not_keep_the_interpreter(script):
    assert run(script) == (0, "")


def test_a_scheduler_needs_a_descriptor():
    script = """
_core.Scheduler(one_queue()).close()
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    _core.Scheduler(one_queue())
except OSError as error:
    raise SystemExit(error.errno)
"""
    assert run(script) == (24, "")  # EMFILE


def run(script):
    command = [sys.executable, "-c", PREAMBLE + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stderr
