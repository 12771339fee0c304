"""Rule 5 of docs/scheduling.md by example: prefix groups."""

from budgetmem.scheduling.interface import NEVER, BackbonePlan, Plan, QueuePlan

from .story import Story, id_array, one_queue


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
    story = Story(one_queue(credits=3))
    story.submit("a", group=7)
    story.advance()
    story.first_token("a")
    story.submit("b c", group=7)
    assert story.advance() == "2: b, 3: c"
    story.finish("b c")
    story.submit("d e", group=7)
    assert story.advance() == "4: d, 5: e"


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


def test_a_full_batch_looks_no_further():
    story = Story(one_queue(credits=2, batch_items=2))
    story.submit("lead m1", tenant=1, group=7)
    story.submit("x", tenant=2)
    story.submit("m2", tenant=2, group=7)
    story.submit("m3", tenant=3, group=7)
    assert story.advance() == "1: lead x"  # m3 is held after m2, for the second credit
    story.first_token("lead")
    assert story.advance() == "2: m1 m2"


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


def test_tenants_join_the_ring_again_in_the_order_of_holding():
    story = Story(one_queue(credits=3))
    story.submit("lead", tenant=3, group=7)
    story.submit("x", tenant=2)
    story.submit("m1", tenant=1, group=7)
    story.submit("m2", tenant=2, group=7)
    assert story.advance() == "1: lead, 2: x"  # m2 is met before m1
    story.first_token("lead")
    assert story.run("lead x") == "3: m2, 4: m1"
