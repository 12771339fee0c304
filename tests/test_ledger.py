import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.ledger import Bound, Ledger
from budgetmem.types import Budget


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_without_ceilings_everything_fits():
    ledger = Ledger(Budget())
    assert ledger.refusal(Bound(1e9, 1e12)) is None
    assert math.isinf(ledger.left_ms)


def test_a_stage_shares_what_is_left_equally():
    ledger = Ledger(Budget(max_cost_usd=0.375))
    assert ledger.refusal(Bound(cost_usd=0.125), share=3) is None
    assert ledger.refusal(Bound(cost_usd=0.126), share=3) == "max_cost_usd"


def test_settling_frees_what_the_call_did_not_use():
    ledger = Ledger(Budget(max_cost_usd=1.0))
    bound = Bound(cost_usd=0.8)
    ledger.reserve(bound)
    assert ledger.refusal(bound) == "max_cost_usd"
    ledger.settle(bound, 0.1)
    assert ledger.left_usd == pytest.approx(0.9)


def test_time_passes_and_free_work_always_fits():
    clock = Clock()
    ledger = Ledger(Budget(max_latency_ms=500), clock=clock)
    clock.seconds += 0.4
    assert ledger.elapsed_ms == pytest.approx(400)
    assert ledger.refusal(Bound(milliseconds=90)) is None
    assert ledger.refusal(Bound(milliseconds=110)) == "max_latency_ms"
    clock.seconds += 10
    assert ledger.refusal(Bound()) is None


def test_the_deadline_is_on_the_clock_and_leaves_room_for_what_is_held_back():
    ledger = Ledger(Budget(max_latency_ms=500), clock=Clock())
    assert ledger.started == 100.0
    assert ledger.deadline == pytest.approx(100.5)
    ledger.hold(Bound(milliseconds=200))
    assert ledger.deadline == pytest.approx(100.3)
    ledger.release_held()
    assert ledger.deadline == pytest.approx(100.5)
    assert math.isinf(Ledger(Budget()).deadline)


def test_what_is_held_back_is_there_when_released():
    ledger = Ledger(Budget(max_cost_usd=1.0, max_latency_ms=100))
    ledger.hold(Bound(0.4, 40))
    assert ledger.refusal(Bound(cost_usd=0.7)) == "max_cost_usd"
    ledger.release_held()
    assert ledger.refusal(Bound(cost_usd=0.7)) is None


@given(
    ceiling=st.floats(0, 1),
    work=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1))),
)
def test_the_sum_never_passes_the_ceiling(ceiling: float, work: list[tuple[float, float]]):
    ledger = Ledger(Budget(max_cost_usd=ceiling))
    spent = 0.0
    for cost, used_share in work:
        bound = Bound(cost_usd=cost)
        if ledger.refusal(bound) is None:
            ledger.reserve(bound)
            ledger.settle(bound, cost * used_share)
            spent += cost * used_share
    assert spent <= ceiling + 1e-9


def test_the_callers_deadline_is_a_limit_of_time_too():
    clock = Clock()
    ledger = Ledger(Budget(max_latency_ms=500), clock=clock, caller_deadline=100.2)
    assert (ledger.time_limit, ledger.deadline) == ("deadline", pytest.approx(100.2))
    assert ledger.refusal(Bound(milliseconds=300)) == "deadline"
    later = Ledger(Budget(max_latency_ms=500), clock=clock, caller_deadline=200.0)
    assert (later.time_limit, later.deadline) == ("max_latency_ms", pytest.approx(100.5))
    assert Ledger(Budget(), clock=clock, caller_deadline=100.2).left_ms == pytest.approx(200)


def test_brief_work_may_take_of_what_is_held_back_but_never_more_than_there_is():
    clock = Clock()
    ledger = Ledger(Budget(max_latency_ms=1000), clock=clock)
    assert ledger.brief_deadline(500) == pytest.approx(101.0)
    ledger.hold(Bound(milliseconds=5000))
    assert ledger.brief_deadline(500) == pytest.approx(100.5)
    clock.seconds = 100.7
    assert ledger.brief_deadline(500) == pytest.approx(101.0)
    clock.seconds = 105.0
    assert ledger.brief_deadline(500) == pytest.approx(101.0)
    assert math.isinf(Ledger(Budget(), clock=clock).brief_deadline(500))


def test_what_asyncio_waits_for_ends_at_the_deadline():
    clock = Clock()
    ledger = Ledger(Budget(max_latency_ms=1000), clock=clock)
    clock.seconds = 100.4
    assert ledger.seconds_until(ledger.deadline) == pytest.approx(0.6)
    assert Ledger(Budget()).seconds_until(math.inf) is None
