"""Rule 11 of docs/scheduling.md by example: backbones of one device take turns."""

from budgetmem.scheduling.interface import NEVER, BackbonePlan, Plan, QueuePlan

from .story import Story


def sharing(*devices: int, credits: int = 2) -> Story:
    """A queue for each backbone; a turn lasts 100."""
    return Story(
        Plan(
            backbones=tuple(BackbonePlan(credits, device=device) for device in devices),
            queues=tuple(QueuePlan(index, 9, 9) for index in range(len(devices))),
            device_turn=100,
        )
    )


def test_backbones_of_one_device_take_turns_and_others_do_not_wait():
    story = sharing(5, 0, 5)
    story.submit("a b", queue=0)
    story.submit("x", queue=1)
    story.submit("p", queue=2)
    assert story.advance() == "1: a, 2: b, 3: x"
    assert story.run("a") == ""
    assert story.run("b") == "4: p"


def test_a_turn_goes_on_until_its_time_is_over():
    story = sharing(5, 5)
    story.submit("a b c d", queue=0)
    assert story.advance() == "1: a, 2: b"
    story.submit("x", queue=1)
    assert story.advance(10) == ""
    assert story.run("a", now=109) == "3: c"
    assert story.run("b", now=110) == ""
    assert story.run("c", now=120) == "4: x"
    assert story.run("x", now=121) == "5: d"


def test_time_counts_from_when_others_wait():
    story = sharing(5, 5, credits=1)
    story.submit("a b c", queue=0)
    assert story.advance() == "1: a"
    assert story.run("a", now=1000) == "2: b"
    story.submit("x", queue=1)
    assert story.run("b", now=1001) == "3: c"
    assert story.run("c", now=1002) == "4: x"


def test_what_hangs_keeps_the_device_for_two_turns_and_no_longer():
    story = sharing(5, 5)
    story.submit("a b", queue=0)
    story.submit("x", queue=1)
    assert story.advance(5) == "1: a, 2: b"
    assert story.core.next_timer() == 205
    assert story.advance(204) == ""
    assert story.advance(205) == "3: x"
    assert story.core.next_timer() == NEVER


def test_turns_go_round_in_order_of_index():
    story = sharing(5, 5, 5, credits=1)
    story.submit("p q", queue=2)
    story.submit("x y", queue=1)
    story.submit("a b", queue=0)
    told, last = [story.advance()], "a"
    for now in range(100, 600, 100):
        told.append(story.run(last, now=now))
        last = told[-1].split(": ")[1]
    assert told == ["1: a", "2: x", "3: p", "4: b", "5: y", "6: q"]


def test_nothing_that_is_ready_in_name_only_stops_the_device():
    story = sharing(5, 5, credits=1)
    story.submit("a b", queue=0)
    story.submit("x", queue=1)
    assert story.advance() == "1: a"
    story.cancel("x")
    assert story.run("a", now=100) == "2: b"
