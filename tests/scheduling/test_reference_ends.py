"""Rules 6 to 10 of docs/scheduling.md by example: how items end, and the order of it all."""

import numpy as np
import pytest

from budgetmem.scheduling.histograms import bucket_of
from budgetmem.scheduling.interface import NEVER, Admission, BackbonePlan, Plan, QueuePlan
from budgetmem.scheduling.reference import Core

from .story import Story, id_array, item_rows, one_queue

ACCEPTED, FULL = Admission.ACCEPTED, Admission.FULL


# Rule 6: deadlines


def test_what_can_no_longer_meet_its_deadline_expires_in_line_or_held():
    story = Story(one_queue(credits=1, fixed=10, per_token=1))
    story.submit("leader", group=7)
    story.submit("held", group=7, deadline=61)
    story.submit("in-line", tokens=5, deadline=60)
    story.submit("longer", deadline=1000)
    assert story.advance() == "1: leader"
    assert story.core.next_timer() == 46
    assert story.advance(45) == ""
    assert story.advance(46) == "in-line expired"
    assert story.core.next_timer() == 51
    assert story.advance(51) == "held expired"
    assert story.queue()["expired"] == 2
    assert story.run("leader", now=989) == "2: longer"


def test_nothing_is_dispatched_too_late():
    story = Story(one_queue(fixed=10))
    story.submit("a", deadline=50)
    assert story.advance(41) == "a expired"


# Rule 7: cancellation


def test_what_is_cancelled_gives_back_its_places_at_once():
    story = Story(one_queue(capacity=2))
    story.submit("a b")
    assert story.cancel("a") == 1
    assert story.submit("c d") == [ACCEPTED, FULL]
    assert story.order() == "b, c"


def test_only_what_waits_is_cancelled_and_only_once():
    story = Story(one_queue())
    story.submit("a b")
    story.advance()
    assert story.cancel("a b b") == 1
    assert story.core.cancel(id_array([0, 999])) == 0
    assert story.queue()["cancelled"] == 1
    assert story.queue()["in_flight"] == 1


def test_a_held_item_can_be_cancelled():
    story = Story(one_queue(credits=3))
    story.submit("a b c", group=7)
    story.advance()
    assert story.cancel("b") == 1
    assert story.run("a") == "2: c"


def test_tombstones_are_swept():
    core = Core(one_queue(capacity=10))
    core.submit(item_rows({}), 0)
    core.advance(0)
    for _ in range(1000):
        ids, _ = core.submit(item_rows({"deadline": 10**9}), 0)
        core.cancel(ids)
    line = core._backbones[0]._ring[0].line[0]
    assert len(line._heap) <= 65
    assert len(core._deadlines._heap) <= 65


# Rule 8: finishing


def test_the_credit_comes_back_once_with_the_last_of_the_batch():
    story = Story(one_queue(batch_items=2))
    story.submit("a b c")
    assert story.advance() == "1: a b"
    assert story.finish("a a") == 1
    assert story.advance() == ""
    assert story.backbone()["credits_in_use"] == 1
    assert story.finish("a b", ok=False) == 1
    assert story.advance() == "2: c"
    assert (story.queue()["finished"], story.queue()["failed"]) == (1, 1)


def test_what_waits_cannot_be_finished():
    story = Story(one_queue())
    story.submit("a")
    assert story.finish("a") == 0
    assert story.queue()["waiting"] == 1


def test_fewer_credits_than_are_in_use():
    story = Story(one_queue(credits=3))
    story.submit("a b c d e")
    assert story.advance() == "1: a, 2: b, 3: c"
    story.core.set_credits(0, 1)
    assert story.run("a b") == ""
    assert story.run("c") == "4: d"
    story.core.set_credits(0, 2)
    assert story.advance() == "5: e"
    assert story.backbone()["credits"] == 2


def test_times_are_counted_from_admission_and_from_dispatch():
    story = Story(one_queue())
    story.submit("a", now=100)
    story.advance(107)
    story.finish("a", now=1107)
    stats = story.queue()
    assert (stats["queued_ns"], stats["service_ns"]) == (7, 1000)
    assert np.flatnonzero(stats["queued"]).tolist() == [7]
    assert np.flatnonzero(stats["service"]).tolist() == [bucket_of(1000)]
    assert stats["service"].dtype == np.uint64


# Rule 9: the order within one advance


def test_items_expire_then_groups_time_out_then_backbones_dispatch_in_order():
    slow = BackbonePlan(credits=2, leader_timeout=50)
    story = Story(Plan((slow, slow), (QueuePlan(0, 9, 9), QueuePlan(1, 9, 9))))
    story.submit("a1 a2", queue=1, group=1)
    story.submit("b1 b2", queue=0, group=2)
    assert story.advance() == "1: b1, 2: a1"
    story.submit("late late-too", queue=0, deadline=40)
    story.submit("later", queue=0, deadline=45)
    story.submit("first", queue=1, deadline=40)
    assert story.cancel("first") == 1
    story.submit("second", queue=1, deadline=39)
    told = "second expired, late expired, late-too expired, later expired, 3: b2, 4: a2"
    assert story.advance(50) == told


def test_groups_that_time_out_together_are_released_in_the_order_of_their_leaders():
    story = Story(one_queue(credits=2, leader_timeout=50))
    story.submit("x1", tenant=1, group=1)
    story.submit("y1", tenant=2, group=2)
    story.submit("y2", tenant=3, group=2)
    story.submit("x2", tenant=4, group=1)
    assert story.advance() == "1: x1, 2: y1"
    story.core.set_credits(0, 3)
    assert story.advance() == ""  # both are held now, y2 first
    story.core.set_credits(0, 4)
    assert story.advance(50) == "3: x2, 4: y2"


# Rule 10: closing


def test_closing_tells_everything_that_waits_in_order_of_admission():
    story = Story(one_queue(credits=1))
    story.submit("a b", group=7)
    story.submit("c", deadline=5)
    assert story.advance() == "1: a"
    assert story.close() == "b closed, c closed"
    assert story.close() == ""
    assert story.core.closed
    assert story.queue()["closed"] == 2
    assert story.queue()["waiting"] == 0
    assert story.finish("a") == 1
    assert story.advance(100) == ""
    assert story.core.next_timer() == NEVER


@pytest.mark.parametrize("closed", [False, True])
def test_advancing_an_idle_core_does_nothing(closed):
    core = Core(one_queue())
    if closed:
        core.close()
    assert core.closed is closed
    assert len(core.advance(10)) == 0
    assert core.next_timer() == NEVER
