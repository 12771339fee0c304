import math
import threading

import pytest
from pydantic import ValidationError

from budgetmem.errors import BackboneUnavailable, ConfigError
from server.engines.base import RequestCancelled
from server.engines.deltas import Deltas
from server.engines.options import EngineOptions, read_options
from server.engines.sampling import SamplingParams
from server.engines.threaded import ThreadedEngine
from tests.server.engines.toys import EchoRunner, Listener

INTERVAL = 16


@pytest.fixture
def runner():
    return EchoRunner()


@pytest.fixture
def engine(runner):
    engine = ThreadedEngine(lambda: runner, "echo", breath=0, stream_interval=INTERVAL)
    yield engine
    engine.close(5)


def ask(engine, prompt, **params):
    listener = Listener()
    return engine.submit(prompt, SamplingParams(**params), listener), listener


def sizes(interval, steps):
    """Tokens of the Deltas that come of steps of so many tokens each, the last one ending it."""
    deltas = Deltas(interval)
    sent = []
    for number, tokens in enumerate(steps, 1):
        deltas.add("x" * tokens, tokens, -1.0 * tokens)
        delta = deltas.take(7, "stop" if number == len(steps) else None)
        if delta is not None:
            assert delta.text == "x" * delta.output_tokens
            assert delta.logprob == -delta.output_tokens
            sent.append(delta.output_tokens)
    return sent


@pytest.mark.parametrize(
    ("interval", "steps", "sent"),
    [
        (1, [1, 1, 1], [1, 1, 1]),
        (4, [1] * 10, [1, 4, 4, 1]),
        (4, [1] * 9, [1, 4, 4]),
        (4, [1, 3, 3, 3], [1, 6, 3]),
        (4, [3, 9, 1], [3, 9, 1]),
        (4, [0, 0, 1, 1, 0], [1, 1]),
        (4, [0], [0]),
    ],
)
def test_the_first_token_goes_at_once_and_the_rest_in_intervals(interval, steps, sent):
    assert sizes(interval, steps) == sent


def test_an_unknown_logprob_stays_unknown_and_does_not_spread():
    deltas = Deltas(1)
    deltas.add("a", 1, math.nan)
    assert math.isnan(deltas.take(1, None).logprob)
    deltas.add("b", 1, -0.5)
    assert deltas.take(1, "stop").logprob == -0.5


def test_a_long_reply_is_a_handful_of_events(engine):
    _, heard = ask(engine, "x" * 60, logprobs=0)
    assert heard.wait().text == "x" * 60
    assert [d.output_tokens for d in heard.deltas] == [1, 16, 16, 16, 11]
    assert [d.finish_reason for d in heard.deltas] == [None] * 4 + ["stop"]
    assert {d.input_tokens for d in heard.deltas} == {60}
    assert sum(d.logprob for d in heard.deltas) == pytest.approx(-30)


def test_characters_stay_whole(engine):
    _, heard = ask(engine, "🎉" * 9)
    assert heard.wait().text == "🎉" * 9
    assert all(set(d.text) <= {"🎉"} for d in heard.deltas)


def test_a_stop_string_ends_it_though_the_interval_is_not_full(engine, runner):
    _, heard = ask(engine, "one, two, three", stop=(", t",))
    assert heard.wait().text == "one"
    assert [d.output_tokens for d in heard.deltas] == [1, 5]
    assert heard.deltas[-1].finish_reason == "stop"
    assert runner.dropped == [1]


def test_the_first_token_comes_before_the_second_is_made(engine, runner):
    runner.gate = threading.Event()
    handle, heard = ask(engine, "x" * 1000)
    runner.gate.set()
    assert heard.first.wait(5)
    assert heard.deltas[0].output_tokens == 1
    handle.cancel()
    assert isinstance(heard.wait().error, RequestCancelled)
    assert not runner.left


def test_what_is_gathered_of_a_lost_batch_is_not_sent(engine, runner):
    _, long = ask(engine, "xcrash")
    assert isinstance(long.wait().error, BackboneUnavailable)
    assert [d.text for d in long.deltas] == ["x"]
    assert runner.resets == 1


def test_the_option_is_every_engines():
    assert EngineOptions().stream_interval == 1
    assert read_options(EngineOptions, {"stream_interval": "16"}).stream_interval == 16
    with pytest.raises(ConfigError, match="stream_interval"):
        read_options(EngineOptions, {"stream_interval": "0"})
    with pytest.raises(ValidationError):
        EngineOptions(stream_interval=-1)
