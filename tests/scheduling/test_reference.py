"""The rules of docs/scheduling.md by example, in their order."""

import numpy as np
import pytest

from budgetmem.scheduling.histograms import bucket_of
from budgetmem.scheduling.interface import NEVER, Admission, BackbonePlan, Plan, QueuePlan
from budgetmem.scheduling.reference import Core

from .story import Story, id_array, item_rows, one_queue

ACCEPTED, FULL, INFEASIBLE, CLOSED = Admission


# Rule 1: admission


def test_a_queue_and_a_tenants_part_of_it_are_bounded():
    story = Story(one_queue(capacity=3, tenant_capacity=2))
    assert story.submit("a b c", tenant=1) == [ACCEPTED, ACCEPTED, FULL]
    assert story.submit("d e", tenant=2) == [ACCEPTED, FULL]
    assert story.advance() == "1: a"
    assert story.submit("f g", tenant=1) == [ACCEPTED, FULL]
    assert story.queue()["accepted"] == 4
    assert story.queue()["full"] == 3
    assert story.queue()["waiting"] == 3


def test_ids_count_up_and_0_is_no_id():
    core = Core(one_queue(capacity=1))
    ids, answers = core.submit(item_rows({}, {}), 0)
    assert ids.dtype == np.uint64
    assert answers.dtype == np.uint8
    assert ids.tolist() == [1, 0]


def test_what_cannot_meet_its_deadline_is_infeasible():
    story = Story(one_queue(fixed=10, per_token=2))
    assert story.submit("a", now=100, tokens=5, deadline=119) == [INFEASIBLE]
    assert story.submit("b", now=100, tokens=5, deadline=120) == [ACCEPTED]
    assert story.queue()["infeasible"] == 1


def test_closed_comes_before_infeasible_and_infeasible_before_full():
    story = Story(one_queue(capacity=1, fixed=10))
    story.submit("a")
    assert story.submit("b", deadline=9) == [INFEASIBLE]
    assert story.submit("c", deadline=10) == [FULL]
    story.close()
    assert story.submit("d", deadline=9) == [CLOSED]
    assert story.queue()["refused_closed"] == 1


def test_an_estimate_past_the_largest_integer_fits_no_deadline_and_needs_none():
    story = Story(one_queue(fixed=NEVER, per_token=NEVER))
    assert story.submit("a", deadline=NEVER - 1) == [INFEASIBLE]
    assert story.submit("b", now=5, deadline=NEVER) == [ACCEPTED]
    assert story.core.next_timer() == NEVER
    assert story.advance(NEVER - 1) == "1: b"


# Rule 2: urgency


def test_earlier_deadlines_go_first_and_older_requests_among_the_others():
    story = Story(one_queue(age_cap=100))
    story.submit("young", born=50)
    story.submit("old", born=20)
    story.submit("old-too", born=20)
    story.submit("due", born=50, deadline=110)
    assert story.order() == "due, old, old-too, young"


def test_nothing_starves_for_longer_than_the_age_cap():
    story = Story(one_queue(age_cap=100))
    story.submit("patient", born=0, deadline=NEVER - 1)
    story.submit("due", born=50, deadline=100)
    assert story.order() == "patient, due"


def test_urgencies_past_the_largest_integer_are_equal():
    story = Story(one_queue(age_cap=NEVER))
    story.submit("a", born=7)
    story.submit("b", born=3)
    assert story.order() == "a, b"


# Rule 3: tenants


def test_tenants_share_by_tokens():
    story = Story(one_queue(quantum=10))
    story.submit("A1 A2", tenant=1, tokens=10)
    story.submit("b1 b2 b3 b4", tenant=2, tokens=5)
    assert story.order() == "A1, b1, b2, A2, b3, b4"


def test_a_large_item_waits_until_its_tenant_has_saved_for_it():
    story = Story(one_queue(quantum=10))
    story.submit("A", tenant=1, tokens=25)
    story.submit("b1 b2 b3 b4", tenant=2, tokens=10)
    assert story.order() == "b1, b2, A, b3, b4"


def test_what_is_left_of_a_deficit_is_kept_while_the_tenant_stays_in_the_ring():
    story = Story(one_queue(quantum=10))
    story.submit("A1 A2 A3", tenant=1, tokens=6)
    story.submit("b1 b2 b3", tenant=2, tokens=10)
    # A: 10-6=4, no more; b1; A: 14-12=2
    assert story.order() == "A1, b1, A2, A3, b2, b3"


def test_a_lone_tenant_needs_no_quantum_and_saves_nothing():
    story = Story(one_queue(quantum=10))
    story.submit("A1 A2 A3", tenant=1, tokens=1000)
    assert story.advance() == "1: A1"
    story.submit("b1 b2", tenant=2, tokens=10)
    # A's deficit is 0 and this is its first quantum; the rest of A waits for 100 turns.
    assert story.run("A1") == "2: b1"
    assert story.run("b1") == "3: b2"
    assert story.run("b2") == "4: A2"


def test_a_tenant_that_left_the_ring_comes_back_with_nothing():
    story = Story(one_queue(quantum=10))
    story.submit("A1", tenant=1, tokens=4)
    story.submit("b1", tenant=2, tokens=10)
    assert story.order() == "A1, b1"  # A leaves with 6
    story.submit("b2", tenant=2, tokens=10)
    story.submit("A2", tenant=1, tokens=16)
    story.submit("b3", tenant=2, tokens=10)
    assert story.order() == "b2, b3, A2"


def test_each_backbone_has_a_ring_of_its_own():
    backbone = BackbonePlan(credits=1)
    story = Story(Plan((backbone, backbone), (QueuePlan(0, 9, 9), QueuePlan(1, 9, 9)), quantum=10))
    story.submit("a", queue=1, tenant=1, tokens=1000)
    story.submit("b", queue=0, tenant=2, tokens=1000)
    assert story.advance() == "1: b, 2: a"


# Rule 4: batches


def test_a_batch_takes_one_item_a_tenant_round_and_round():
    story = Story(one_queue(batch_items=5))
    story.submit("a1 a2 a3 a4", tenant=1)
    story.submit("b1", tenant=2)
    story.submit("c1 c2", tenant=3)
    assert story.advance() == "1: a1 a2 b1 c1 a3"
    assert story.run("a1 a2 b1 c1 a3") == "2: a4 c2"


def test_a_dispatch_of_less_than_a_full_batch_is_not_delayed():
    story = Story(one_queue(batch_items=8))
    story.submit("a")
    assert story.advance() == "1: a"


def test_a_padded_batch_takes_one_length_bucket():
    story = Story(one_queue(batch_items=8, pads=True, quantum=100))
    story.submit("a4", tokens=4)
    story.submit("a8", tokens=8)
    story.submit("a7", tokens=7)
    story.submit("b5", tenant=2, tokens=5)
    assert story.order() == "a4 a7 b5, a8"


def test_padding_counts_towards_the_tokens_of_a_batch():
    story = Story(one_queue(batch_items=8, batch_tokens=12))
    story.submit("a", tokens=3)
    story.submit("b", tokens=4)
    story.submit("c", tokens=5)  # would be the third of length 5
    story.submit("d", tokens=1)  # is not looked at: c is more urgent
    assert story.order() == "a b, c d"


def test_a_seed_may_pass_the_tokens_of_a_batch_alone():
    story = Story(one_queue(batch_items=8, batch_tokens=12))
    story.submit("a b", tokens=20)
    assert story.order() == "a, b"


def test_joining_is_charged_and_paid_back_in_later_turns():
    story = Story(one_queue(batch_items=2, batch_tokens=30, pads=True, quantum=16))
    story.submit("a1", tenant=1, tokens=10)
    story.submit("b1", tenant=2, tokens=15)
    assert story.advance() == "1: a1 b1"  # b has -15, a has 6
    story.submit("a2 a3", tenant=1, tokens=16)
    story.submit("b2", tenant=2, tokens=2)
    # b's turn leaves it with 1, so a goes first, though b stands before it in the ring.
    assert story.run("a1 b1") == "2: a2"
    assert story.run("a2") == "3: b2"


# Rule 5: prefix groups


def test_the_first_that_goes_leads_and_the_others_are_held_until_its_first_token():
    story = Story(one_queue(credits=4))
    story.submit("a b c", group=7)
    story.submit("d")
    assert story.advance() == "1: a, 2: d"
    assert story.queue()["waiting"] == 2
    story.first_token("a")
    assert story.advance() == "3: b, 4: c"
    assert (story.backbone()["leaders"], story.backbone()["siblings"]) == (1, 2)


def test_a_leader_that_finishes_well_has_read_its_prompt():
    story = Story(one_queue(credits=4))
    story.submit("a b c", group=7)
    assert story.advance() == "1: a"
    assert story.run("a") == "2: b, 3: c"
    assert story.backbone()["promotions"] == 0


def test_a_slow_leader_is_not_waited_for():
    story = Story(one_queue(credits=4, leader_timeout=50))
    story.submit("a b", group=7)
    assert story.advance(10) == "1: a"
    assert story.core.next_timer() == 60
    assert story.advance(59) == ""
    assert story.advance(60) == "2: b"
    assert story.backbone()["timeouts"] == 1
    assert story.core.next_timer() == NEVER


def test_when_a_leader_fails_another_leads():
    story = Story(one_queue(credits=4))
    story.submit("a b c", group=7)
    story.advance()
    story.finish("a", ok=False)
    assert story.advance() == "2: b"
    assert (story.backbone()["leaders"], story.backbone()["promotions"]) == (2, 1)
    story.cancel("c")
    story.finish("b", ok=False)
    assert story.backbone()["promotions"] == 1  # nobody is left to be promoted


def test_a_leader_that_fails_after_its_first_token_changes_nothing():
    story = Story(one_queue(credits=2))
    story.submit("a b c", group=7)
    story.advance()
    story.first_token("a")
    assert story.advance() == "2: b"
    story.finish("a", ok=False)
    assert story.advance() == "3: c"
    assert story.backbone()["promotions"] == 0


def test_only_the_leaders_first_token_counts():
    story = Story(one_queue(credits=4))
    story.submit("a b", group=7)
    story.submit("x")
    story.advance()
    story.first_token("x b")
    story.core.first_token(id_array([999]))
    assert story.advance() == ""


def test_a_group_is_forgotten_with_its_last_item():
    story = Story(one_queue(credits=4))
    story.submit("a", group=7)
    story.advance()
    story.finish("a")
    story.submit("b c", group=7)
    assert story.advance() == "2: b"  # c would go too, if the group were still read
    assert story.backbone()["leaders"] == 2


def test_late_members_of_a_group_that_is_read_go_at_once():
    story = Story(one_queue(credits=4))
    story.submit("a", group=7)
    story.advance()
    story.first_token("a")
    story.submit("b c", group=7)
    assert story.advance() == "2: b, 3: c"


def test_groups_of_two_backbones_are_two_groups():
    backbone = BackbonePlan(credits=2)
    story = Story(Plan((backbone, backbone), (QueuePlan(0, 9, 9), QueuePlan(1, 9, 9))))
    story.submit("a b", queue=0, group=7)
    story.submit("c", queue=1, group=7)
    assert story.advance() == "1: a, 2: c"


def test_groups_of_two_queues_of_a_backbone_are_one_group():
    story = Story(Plan((BackbonePlan(credits=2),), (QueuePlan(0, 9, 9), QueuePlan(0, 9, 9))))
    story.submit("a", queue=0, group=7)
    story.submit("b", queue=1, group=7)
    assert story.advance() == "1: a"


def test_a_batch_does_not_hold_a_leader_and_its_siblings():
    story = Story(one_queue(batch_items=3))
    story.submit("a b", group=7)
    story.submit("c")
    assert story.advance() == "1: a c"
    assert story.run("a c") == "2: b"


def test_released_members_go_back_to_their_old_place():
    story = Story(one_queue(credits=3))
    story.submit("a b", group=7)
    story.submit("c d")
    assert story.advance() == "1: a, 2: c, 3: d"
    story.submit("e")
    story.first_token("a")
    assert story.run("c d") == "4: b, 5: e"


def test_a_tenant_whose_items_are_all_held_leaves_the_ring():
    story = Story(one_queue(credits=1, quantum=10))
    story.submit("a", tenant=1, group=7, tokens=10)
    story.submit("b", tenant=2, group=7, tokens=10)
    story.submit("c", tenant=3, tokens=10)
    assert story.advance() == "1: a"
    story.core.set_credits(0, 2)
    assert story.advance() == "2: c"  # b is held on the way
    story.submit("d", tenant=3, tokens=10)
    story.first_token("a")
    assert story.run("a") == "3: d"  # b joined the ring again, behind d


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
    story.submit("late", queue=0, deadline=40)
    story.submit("later", queue=0, deadline=45)
    story.submit("first", queue=1, deadline=40)
    assert story.cancel("first") == 1
    story.submit("second", queue=1, deadline=39)
    assert story.advance(50) == "second expired, late expired, later expired, 3: b2, 4: a2"


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
