"""One generation request on its way through an engine, in the terms of Triton's vLLM backend.

Knows numpy and the engine, not Triton: `Channel` stands for the response sender.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from budgetmem.errors import BudgetMemError, InvalidInput
from server.engines.base import Delta, Engine, Event, Failure, Handle
from server.engines.sampling import SamplingParams

Tensor = NDArray[Any]
Tensors = Mapping[str, Tensor]

FLAGS = {
    "return_finish_reason": "finish_reason",
    "return_cumulative_logprob": "cumulative_logprob",
    "return_num_input_tokens": "num_input_tokens",
    "return_num_output_tokens": "num_output_tokens",
}
"""Input that asks for it, output that answers."""

INPUTS = ("text_input", "stream", "sampling_parameters", "exclude_input_in_output", *FLAGS)


class Channel(Protocol):
    """The way back to one client. Nothing is called after the final response."""

    def send(self, outputs: Tensors, *, final: bool) -> None: ...

    def fail(self, error: BudgetMemError) -> None:
        """Sends an error as the final response."""

    def is_cancelled(self) -> bool: ...


@dataclass(frozen=True)
class GenerationInput:
    """A request as the client sent it. `echo` puts the prompt before the output."""

    prompt: str
    params: SamplingParams
    stream: bool
    echo: bool
    outputs: frozenset[str]

    @classmethod
    def parse(cls, tensors: Tensors, request_parameters: str = "") -> GenerationInput:
        """Reads the input tensors; absent ones take the vLLM backend's defaults.

        `request_parameters` (JSON) stand in for an absent `sampling_parameters`. Raises
        InvalidInput naming the tensor or the parameter.
        """
        stream = _flag(tensors, "stream", default=False)
        echo = not _flag(tensors, "exclude_input_in_output", default=stream)
        if stream and echo:
            raise InvalidInput("exclude_input_in_output", "must be true when `stream` is true")
        wanted = frozenset(
            output for name, output in FLAGS.items() if _flag(tensors, name, default=False)
        )
        given = _text(tensors, "sampling_parameters") if "sampling_parameters" in tensors else None
        params = SamplingParams.parse(request_parameters if given is None else given)
        if "cumulative_logprob" in wanted and params.logprobs is None:
            params = params.model_copy(update={"logprobs": 1})
        return cls(_text(tensors, "text_input"), params, stream, echo, wanted)


def _one(tensors: Tensors, name: str) -> object:
    if name not in tensors:
        raise InvalidInput(name, "is missing")
    values = tensors[name].reshape(-1)
    if values.size != 1:
        raise InvalidInput(name, f"must hold one element, has {values.size}")
    first: object = values[0]
    return first


def _flag(tensors: Tensors, name: str, *, default: bool) -> bool:
    return bool(_one(tensors, name)) if name in tensors else default


def _text(tensors: Tensors, name: str) -> str:
    value = _one(tensors, name)
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise InvalidInput(name, f"is not UTF-8: {exc.reason} at byte {exc.start}") from exc


class GenerationCall:
    """Carries the events of one request to its channel: one response each, or one in all."""

    def __init__(self, request: GenerationInput, channel: Channel) -> None:
        self._request = request
        self._channel = channel
        # The engine's thread ends the call while another one asks whether it is cancelled, and
        # a channel must not be asked once it has ended.
        self._lock = threading.Lock()
        self._text: list[str] = [request.prompt] if request.echo else []
        self._output_tokens = 0
        self._logprob = 0.0
        self._handle: Handle | None = None
        self.done = False

    def start(self, engine: Engine) -> None:
        """Submits the request; raises what `Engine.submit` raises."""
        self._handle = engine.submit(self._request.prompt, self._request.params, self.on_event)

    def fail(self, error: BudgetMemError) -> None:
        with self._lock:
            self.done = True
            self._channel.fail(error)

    def poll_cancellation(self) -> None:
        """Asks the channel whether the client went away, and tells the engine."""
        with self._lock:
            gone = not self.done and self._channel.is_cancelled()
        if gone and self._handle is not None:
            self._handle.cancel()

    def on_event(self, event: Event) -> None:
        if isinstance(event, Failure):
            self.fail(event.error)
            return
        self._text.append(event.text)
        self._output_tokens += event.output_tokens
        self._logprob += event.logprob
        final = event.finish_reason is not None
        if self._request.stream or final:
            with self._lock:
                self.done = final
                self._channel.send(self._outputs(event), final=final)

    def _outputs(self, event: Delta) -> Tensors:
        """Text and output tokens since the last response; logprob is of all so far."""
        every = {
            "text_output": np.array(["".join(self._text).encode()], dtype=np.object_),
            "finish_reason": np.array([str(event.finish_reason).encode()], dtype=np.object_),
            "cumulative_logprob": np.array([self._logprob], dtype=np.float32),
            "num_input_tokens": np.array([event.input_tokens], dtype=np.uint32),
            "num_output_tokens": np.array([self._output_tokens], dtype=np.uint32),
        }
        self._text.clear()
        self._output_tokens = 0
        wanted = self._request.outputs | {"text_output"}
        return {name: tensor for name, tensor in every.items() if name in wanted}


class GenerationServer:
    """Feeds requests to an engine and watches for clients that went away.

    `accept` returns at once and answers every request, well or badly, through its channel.
    """

    def __init__(self, engine: Engine, poll_seconds: float = 0.1) -> None:
        self._engine = engine
        self._poll_seconds = poll_seconds
        self._change = threading.Condition()
        self._calls: list[GenerationCall] = []
        self._closed = False
        self._watcher = threading.Thread(target=self._watch, name="cancellation", daemon=True)
        self._watcher.start()

    def accept(self, tensors: Tensors, request_parameters: str, channel: Channel) -> None:
        try:
            call = GenerationCall(GenerationInput.parse(tensors, request_parameters), channel)
        except BudgetMemError as exc:
            channel.fail(exc)
            return
        try:
            call.start(self._engine)
        except BudgetMemError as exc:
            call.fail(exc)
            return
        with self._change:
            self._calls.append(call)
            self._change.notify()

    def close(self, timeout: float) -> None:
        """Waits up to `timeout` seconds for the requests under way, then fails the rest."""
        self._engine.close(timeout)
        with self._change:
            self._closed = True
            self._change.notify()
        self._watcher.join(timeout)

    def _watch(self) -> None:
        while calls := self._next_round():
            for call in calls:
                call.poll_cancellation()

    def _next_round(self) -> list[GenerationCall]:
        """The calls to ask about, one poll interval apart; none once the server is closed."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or self._calls)
                self._change.wait_for(lambda: self._closed, timeout=self._poll_seconds)
                self._calls = [call for call in self._calls if not call.done]
                if self._closed or self._calls:
                    return [] if self._closed else list(self._calls)
