"""Rules 1 to 4 of docs/scheduling.md by example: admission, urgency, tenants, batches."""

import numpy as np

from budgetmem.scheduling.interface import NEVER, Admission, BackbonePlan, Plan, QueuePlan
from budgetmem.scheduling.reference import Core

from .story import Story, item_rows, one_queue

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


def test_a_lone_tenant_keeps_what_it_had_saved():
    story = Story(one_queue(quantum=10))
    for name, tokens in (("A1", 5), ("A2", 20), ("A3", 1), ("A4", 14)):
        story.submit(name, tenant=1, tokens=tokens)
    story.submit("b", tenant=2, tokens=10)
    assert story.advance() == "1: A1"
    assert story.run("A1") == "2: b"  # A's 5 do not cover A2
    story.cancel("A2")
    assert story.run("b") == "3: A3"  # b has left the ring; A still has 4
    story.submit("c", tenant=3, tokens=10)
    assert story.run("A3") == "4: A4"


def test_a_tenant_that_left_the_ring_comes_back_with_nothing():
    story = Story(one_queue(quantum=10))
    story.submit("A1", tenant=1, tokens=4)
    story.submit("b1", tenant=2, tokens=10)
    assert story.order() == "A1, b1"  # A leaves with 6
    story.submit("b2", tenant=2, tokens=10)
    story.submit("A2", tenant=1, tokens=16)
    story.submit("b3", tenant=2, tokens=10)
    assert story.order() == "b2, b3, A2"


def test_tenants_with_nothing_in_line_leave_a_ring_that_grows_and_the_others_keep_their_places():
    story = Story(one_queue(quantum=10))
    story.submit("q", tenant=200, tokens=10)
    assert story.advance() == "1: q"
    story.submit("a", tenant=1, tokens=10)
    story.submit("b1 b2", tenant=2, tokens=10)
    story.cancel("a")
    for tenant in range(3, 100):
        story.submit("c", tenant=tenant, tokens=10)
        story.cancel("c")
    story.submit("d", tenant=100, tokens=10)
    story.submit("a", tenant=1, tokens=10)  # comes back last
    story.finish("q")
    assert story.order() == "b1, d, a, b2"


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


def test_the_longest_of_a_batch_counts_for_each_of_its_items():
    story = Story(one_queue(batch_items=8, batch_tokens=12))
    story.submit("a", tokens=5)
    story.submit("b", tokens=3)
    story.submit("c", tokens=1)  # would be the third of length 5
    assert story.order() == "a b, c"


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


def test_a_tenant_whose_turn_has_ended_without_a_seed_joins_for_nothing_until_it_seeds():
    story = Story(one_queue(batch_items=2, pads=True, quantum=16))
    story.submit("a1", tenant=1, tokens=15)
    story.submit("b1", tenant=2, tokens=15)
    story.submit("B", tenant=2, tokens=32)
    assert story.advance() == "1: a1 b1"  # b has -15
    story.submit("a2", tenant=1, tokens=15)
    story.submit("b2", tenant=2, tokens=15)
    assert story.run("a1 b1") == "2: a2 b2"  # b has 1 and saves for B
    story.submit("a3", tenant=1, tokens=15)
    story.submit("b3", tenant=2, tokens=15)
    assert story.run("a2 b2") == "3: a3 b3"  # b has 17
    story.submit("a4", tenant=1, tokens=15)
    assert story.run("a3 b3") == "4: B"
