"""Breakers open after failures in a row, and let probes through after a rest, and nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.breakers import Breaker, BreakerLimits, Breakers, BreakerState
from budgetmem.errors import BackboneError, BackboneUnavailable, ReplyError

CLOSED, HALF_OPEN, OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN
LIMITS = BreakerLimits(failures=3, rest_s=5.0)


class Clock:
    seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker("high", LIMITS, clock)


def fail(breaker, error=BackboneUnavailable, probes=False):
    with pytest.raises(error), breaker.call(probes=probes):
        raise error("gone")


def refuses(breaker, probes):
    try:
        with breaker.call(probes=probes):
            raise KeyboardInterrupt  # says nothing of the model
    except BackboneUnavailable:
        return True
    except KeyboardInterrupt:
        return False


def opened(breaker):
    for _ in range(LIMITS.failures):
        fail(breaker)
    return breaker


def test_it_opens_after_failures_in_a_row(breaker):
    fail(breaker)
    fail(breaker)
    with breaker.call():
        pass
    fail(breaker)
    fail(breaker)
    assert breaker.state is CLOSED
    fail(breaker)
    assert breaker.state is OPEN
    with pytest.raises(BackboneUnavailable, match="high failed 3 times in a row"), breaker.call():
        pytest.fail("was let through")


def test_what_may_be_the_callers_doing_is_no_failure(breaker):
    for _ in range(10):
        fail(breaker, BackboneError)
        fail(breaker, ReplyError)
    assert breaker.state is CLOSED


def test_after_a_rest_a_probe_is_let_through_and_no_caller(breaker, clock):
    opened(breaker)
    assert refuses(breaker, probes=True)
    clock.seconds += LIMITS.rest_s
    assert breaker.state is HALF_OPEN
    assert breaker.refuses
    assert refuses(breaker, probes=False)
    with breaker.call(probes=True):
        assert refuses(breaker, probes=False)
    assert breaker.state is CLOSED
    assert not breaker.refuses
    assert not refuses(breaker, probes=False)


def test_a_probe_that_fails_opens_it_for_another_rest(breaker, clock):
    opened(breaker)
    clock.seconds += LIMITS.rest_s
    fail(breaker, probes=True)
    assert breaker.state is OPEN
    clock.seconds += LIMITS.rest_s - 0.1
    assert breaker.state is OPEN
    clock.seconds += 0.1
    assert breaker.state is HALF_OPEN


def test_a_probe_that_says_nothing_of_the_model_may_be_followed_by_another(breaker, clock):
    opened(breaker)
    clock.seconds += LIMITS.rest_s
    for _ in range(2):
        assert not refuses(breaker, probes=True)
        assert breaker.state is HALF_OPEN


def test_calls_begun_before_it_opened_may_still_close_it(breaker):
    with breaker.call():
        opened(breaker)
    assert breaker.state is CLOSED


def test_time_without_success_is_told(breaker, clock):
    clock.seconds += 7
    fail(breaker)
    assert breaker.idle_s == 7
    with breaker.call():
        pass
    assert breaker.idle_s == 0


def test_breakers_by_model(breaker):
    breakers = Breakers({"high": opened(breaker), "low": Breaker("low")})
    assert breakers.states() == {"high": OPEN, "low": CLOSED}
    assert breakers.refuses("high")
    assert not breakers.refuses("low")
    assert not breakers.refuses("another")
    breakers.reset()
    assert not breakers.refuses("high")


@given(st.lists(st.sampled_from(["fail", "succeed", "wait", "probe"]), max_size=60))
def test_it_is_open_only_after_enough_failures_in_a_row(steps):
    clock = Clock()
    breaker, row = Breaker("any", LIMITS, clock), 0
    for step in steps:
        if step == "wait":
            clock.seconds += 2.0
        elif not refuses(breaker, probes=step == "probe"):
            if step == "fail":
                fail(breaker)
                row += 1
            else:
                with breaker.call(probes=step == "probe"):
                    row = 0
        assert (breaker.state is CLOSED) == (row < LIMITS.failures)
