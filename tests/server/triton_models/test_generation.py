"""The vLLM contract, against an engine that follows a script."""

import threading

import numpy as np
import pytest

from budgetmem.errors import BackboneError, BackboneUnavailable, InvalidInput
from server.engines.base import Delta, Failure, RequestCancelled
from server.triton_models.generation import GenerationInput, GenerationServer

SCRIPT = [Delta("Hel", 4, 1, -0.5, None), Delta("lo", 4, 2, -1.5, "stop")]
ALL = {
    "return_finish_reason": True,
    "return_cumulative_logprob": True,
    "return_num_input_tokens": True,
    "return_num_output_tokens": True,
}


class ScriptedEngine:
    """Says its script to every request; with `waits` it says nothing until it is cancelled."""

    def __init__(self, script=SCRIPT, *, waits=False, refuses=False):
        self.script, self.waits, self.refuses = script, waits, refuses
        self.requests = []
        self.closed_with = None
        self.cancels = 0

    def submit(self, prompt, params, on_event):
        if self.refuses:
            raise BackboneUnavailable("closed")
        self.requests.append((prompt, params))
        engine = self

        class Handle:
            def cancel(self):
                engine.cancels += 1
                on_event(Failure(RequestCancelled("cancelled")))

        for event in [] if self.waits else self.script:
            on_event(event)
        return Handle()

    def close(self, timeout):
        self.closed_with = timeout


class RecordingChannel:
    def __init__(self):
        self.sent = []
        self.error = None
        self.gone = False
        self.ended = threading.Event()
        self.polls_after_end = 0

    def send(self, outputs, *, final):
        assert not self.ended.is_set()
        self.sent.append((outputs, final))
        if final:
            self.ended.set()

    def fail(self, error):
        assert not self.ended.is_set()
        self.error = error
        self.ended.set()

    def is_cancelled(self):
        self.polls_after_end += self.ended.is_set()
        return self.gone


def tensors(prompt=b"Hi", **given):
    values = {"text_input": prompt, **given}
    return {
        name: np.array([v], dtype=np.object_ if isinstance(v, bytes) else np.bool_)
        for name, v in values.items()
    }


def serve(engine, inputs, parameters=""):
    server = GenerationServer(engine, poll_seconds=0.001)
    channel = RecordingChannel()
    server.accept(inputs, parameters, channel)
    assert channel.ended.wait(5)
    server.close(1)
    return channel


def scalar(outputs, name):
    assert outputs[name].shape == (1,)
    return outputs[name][0]


def test_a_stream_carries_deltas_and_the_sum_of_logprobs():
    channel = serve(ScriptedEngine(), tensors(stream=True, **ALL))
    (first, first_final), (last, last_final) = channel.sent
    assert (first_final, last_final) == (False, True)
    assert [scalar(o, "text_output") for o in (first, last)] == [b"Hel", b"lo"]
    assert [scalar(o, "num_output_tokens") for o in (first, last)] == [1, 2]
    assert [scalar(o, "finish_reason") for o in (first, last)] == [b"None", b"stop"]
    assert [scalar(o, "cumulative_logprob") for o in (first, last)] == [-0.5, -2.0]
    assert [scalar(o, "num_input_tokens") for o in (first, last)] == [4, 4]
    assert {name: t.dtype for name, t in last.items()} == {
        "text_output": np.object_,
        "finish_reason": np.object_,
        "cumulative_logprob": np.float32,
        "num_input_tokens": np.uint32,
        "num_output_tokens": np.uint32,
    }


def test_without_stream_there_is_one_response():
    channel = serve(ScriptedEngine(), tensors(exclude_input_in_output=True, **ALL))
    ((outputs, final),) = channel.sent
    assert final
    assert scalar(outputs, "text_output") == b"Hello"
    assert scalar(outputs, "num_output_tokens") == 3
    assert scalar(outputs, "cumulative_logprob") == -2.0


def test_only_what_was_asked_for_is_returned():
    channel = serve(ScriptedEngine(), tensors(stream=True))
    assert [set(outputs) for outputs, _ in channel.sent] == [{"text_output"}] * 2


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ({}, b"HiHello"),
        ({"exclude_input_in_output": False}, b"HiHello"),
        ({"exclude_input_in_output": True}, b"Hello"),
    ],
)
def test_the_prompt_is_put_before_the_output_unless_excluded(flags, text):
    channel = serve(ScriptedEngine(), tensors(**flags))
    assert scalar(channel.sent[0][0], "text_output") == text


def test_asking_for_the_logprob_makes_the_engine_compute_it():
    assert GenerationInput.parse(tensors()).params.logprobs is None
    asked = GenerationInput.parse(tensors(return_cumulative_logprob=True))
    assert asked.params.logprobs is not None


def test_request_parameters_stand_in_for_the_tensor():
    engine = ScriptedEngine()
    serve(engine, tensors(), '{"max_tokens": 3}')
    serve(engine, tensors(sampling_parameters=b'{"max_tokens": 5}'), '{"max_tokens": 3}')
    assert [params.max_tokens for _, params in engine.requests] == [3, 5]


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({}, "text_input"),
        (tensors(b"\xff"), "text_input"),
        (tensors(sampling_parameters=b"{"), "sampling_parameters"),
        (tensors(sampling_parameters=b"\xff"), "sampling_parameters"),
        (tensors(sampling_parameters=b'{"top_q": 1}'), "sampling_parameters.top_q"),
        (tensors(stream=True, exclude_input_in_output=False), "exclude_input_in_output"),
        ({"text_input": np.array([b"a", b"b"], dtype=np.object_)}, "text_input"),
        ({**tensors(), "stream": np.array([], dtype=np.bool_)}, "stream"),
    ],
)
def test_bad_requests_are_answered_and_never_reach_the_engine(inputs, field):
    engine = ScriptedEngine()
    channel = serve(engine, inputs)
    assert isinstance(channel.error, InvalidInput)
    assert channel.error.field == field
    assert not engine.requests


def test_failures_end_the_request():
    channel = serve(
        ScriptedEngine([SCRIPT[0], Failure(BackboneError("broke"))]), tensors(stream=True)
    )
    assert [final for _, final in channel.sent] == [False]
    assert str(channel.error) == "broke"


def test_an_engine_that_refuses_is_an_answer():
    channel = serve(ScriptedEngine(refuses=True), tensors())
    assert isinstance(channel.error, BackboneUnavailable)


def test_a_client_that_goes_away_cancels_even_before_the_first_token():
    engine = ScriptedEngine(waits=True)
    server = GenerationServer(engine, poll_seconds=0.001)
    channel = RecordingChannel()
    server.accept(tensors(stream=True), "", channel)
    channel.gone = True
    assert channel.ended.wait(5)
    server.close(1)
    assert isinstance(channel.error, RequestCancelled)
    assert engine.cancels >= 1
    assert channel.polls_after_end == 0


def test_closing_passes_the_time_on():
    engine = ScriptedEngine()
    GenerationServer(engine).close(1.5)
    assert engine.closed_with == 1.5
