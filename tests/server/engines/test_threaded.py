import math
import threading
import time

import pytest

from budgetmem.errors import BackboneError, BackboneUnavailable, ConfigError, InvalidInput
from server.engines.base import RequestCancelled
from server.engines.sampling import SamplingParams
from server.engines.threaded import ThreadedEngine
from tests.server.engines.toys import EchoRunner, Listener

PLAIN = SamplingParams()


@pytest.fixture
def runner():
    return EchoRunner()


@pytest.fixture
def engine(runner):
    engine = ThreadedEngine(lambda: runner, "echo", breath=0)
    yield engine
    engine.close(5)


def ask(engine, prompt, params=PLAIN):
    listener = Listener()
    return engine.submit(prompt, params, listener), listener


def test_events_carry_text_counts_and_the_reason(engine):
    _, heard = ask(engine, "a🎉", SamplingParams(logprobs=0))
    heard.wait()
    assert heard.text == "a🎉"
    assert [d.output_tokens for d in heard.deltas] == [1] * 5
    assert {d.input_tokens for d in heard.deltas} == {5}
    assert [d.finish_reason for d in heard.deltas] == [None] * 4 + ["stop"]
    assert sum(d.logprob for d in heard.deltas) == pytest.approx(-2.5)


def test_logprobs_that_were_not_asked_for_are_nan(engine):
    _, heard = ask(engine, "ab")
    assert all(math.isnan(d.logprob) for d in heard.wait().deltas)


def test_a_stop_string_ends_the_sequence_in_the_runner(engine, runner):
    _, heard = ask(engine, "one, two, three", SamplingParams(stop=(", t",)))
    assert heard.wait().text == "one"
    assert heard.deltas[-1].finish_reason == "stop"
    assert runner.dropped == [1]


def test_requests_share_the_steps(engine, runner):
    runner.gate = threading.Event()
    heard = [ask(engine, "x" * 6)[1] for _ in range(5)]
    runner.gate.set()
    assert [h.wait().text for h in heard] == ["x" * 6] * 5
    assert runner.steps < 5 * 6


def test_cancelling_stops_the_work(engine, runner):
    runner.gate = threading.Event()
    handle, heard = ask(engine, "x" * 1000)
    runner.gate.set()
    heard.first.wait(5)
    handle.cancel()
    handle.cancel()
    assert isinstance(heard.wait().error, RequestCancelled)
    assert runner.dropped == [1]
    assert not runner.left


@pytest.mark.parametrize(
    ("prompt", "error"),
    [("refuse", InvalidInput), ("stumble", BackboneError), ("full", BackboneError)],
)
def test_one_bad_request_leaves_the_others_alone(engine, prompt, error):
    _, bad = ask(engine, prompt)
    _, good = ask(engine, "good")
    assert isinstance(bad.wait().error, error)
    assert good.wait().text == "good"


def test_a_lost_batch_fails_its_requests_and_the_engine_goes_on(engine, runner):
    _, heard = ask(engine, "crash")
    assert isinstance(heard.wait().error, BackboneUnavailable)
    assert ask(engine, "again")[1].wait().text == "again"
    assert runner.resets == 1


def test_an_engine_that_cannot_start_again_refuses(engine, runner):
    runner.mends = False
    ask(engine, "crash")[1].wait()
    engine._thread.join(5)
    with pytest.raises(BackboneUnavailable, match="no memory"):
        ask(engine, "again")
    assert runner.closed


def test_opening_errors_are_the_callers():
    def missing():
        raise ConfigError("no weights")

    with pytest.raises(ConfigError, match="no weights"):
        ThreadedEngine(missing)


def test_closing_drains_and_then_refuses(runner):
    engine = ThreadedEngine(lambda: runner, breath=0)
    _, heard = ask(engine, "to the end")
    engine.close(5)
    assert heard.text == "to the end"
    assert runner.closed
    with pytest.raises(BackboneUnavailable, match="shutting down"):
        ask(engine, "late")


def test_closing_gives_up_on_what_takes_too_long(runner):
    engine = ThreadedEngine(lambda: runner, breath=0.01)
    _, heard = ask(engine, "x" * 100_000)
    engine.close(0.2)
    assert isinstance(heard.wait(5).error, BackboneUnavailable)


def test_an_idle_engine_does_nothing(engine, runner):
    ask(engine, "a")[1].wait()
    steps, used = runner.steps, time.thread_time()
    time.sleep(0.05)
    assert runner.steps == steps
    assert time.thread_time() - used < 0.04
