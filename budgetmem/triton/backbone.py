"""An LLM under the contract of Triton's vLLM backend (its src/model.py and utils/request.py)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from budgetmem.backbone import Completion, GenerationRequest, TokenCounter
from budgetmem.errors import BackboneError
from budgetmem.triton.channel import Array, Channel, Tensors, text_tensor
from budgetmem.triton.pulse import Pulse

FLAGS = {
    "stream": True,
    "exclude_input_in_output": True,
    "return_finish_reason": True,
    "return_cumulative_logprob": True,
    "return_num_input_tokens": True,
    "return_num_output_tokens": True,
}
"""Sent with every request: Triton cuts a batch where the set of optional inputs changes."""

INPUTS = frozenset({"text_input", "sampling_parameters", *FLAGS})
OUTPUTS = frozenset(
    {"text_output", "finish_reason", "cumulative_logprob", "num_input_tokens", "num_output_tokens"}
)
FINISHED = frozenset({"stop", "length"})
PATIENCE_S = 5.0
PROBE = GenerationRequest(prompt=".", max_tokens=1)


class TritonBackbone:
    """A `budgetmem.backbone.Backbone` on Triton. Prompts go out as they come: already templated.

    A reply that is silent for `patience_s` seconds makes it send a one-token request of its own: to
    a model whose process died, Triton answers new requests with an error, but the old ones never.
    """

    def __init__(
        self, channel: Channel, model: str, tokens: TokenCounter, *, patience_s: float = PATIENCE_S
    ) -> None:
        self._channel = channel
        self._model = model
        self._tokens = tokens
        self._patience_s = patience_s
        self._pulse = Pulse(lambda: self._read(PROBE, _Reply(), None))

    @property
    def name(self) -> str:
        return self._model

    @property
    def tokens(self) -> TokenCounter:
        return self._tokens

    async def generate(
        self, request: GenerationRequest, on_first_token: Callable[[], None] | None = None
    ) -> Completion:
        """See `budgetmem.backbone.Backbone`. The time limit is the caller's, by cancellation."""
        reply = _Reply()
        reading = asyncio.ensure_future(self._read(request, reply, on_first_token))
        try:
            while not (await asyncio.wait((reading,), timeout=self._patience_s))[0]:
                if reply.silence_s >= self._patience_s:
                    await self._pulse.check(reading)
            await reading
        finally:
            reading.cancel()
            await asyncio.wait((reading,))
        if reply.finish_reason not in FINISHED:
            raise BackboneError(
                f"{self._model} at {self._channel.url} ended a reply with the reason "
                f"{reply.finish_reason!r} and {reply.output_tokens} tokens"
            )
        return reply.completion()

    async def _read(
        self,
        request: GenerationRequest,
        reply: _Reply,
        on_first_token: Callable[[], None] | None,
    ) -> None:
        responses = self._channel.stream(self._model, _inputs(request), OUTPUTS)
        async with contextlib.aclosing(responses):
            async for response in responses:
                if reply.add(response) and on_first_token is not None:
                    on_first_token()


@dataclass
class _Reply:
    """Puts the deltas of one streamed reply together. Times are of `time.perf_counter`."""

    started: float = field(default_factory=time.perf_counter)
    first_token: float | None = None
    heard: float = field(default_factory=time.perf_counter)
    pieces: list[str] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0
    finish_reason: str = "None"
    logprob: float = math.nan

    def add(self, response: Tensors) -> bool:
        """Takes one response; True if it is the first. One without tensors only ends the stream."""
        self.heard = time.perf_counter()
        if not response:
            return False
        self.pieces.append(_text(response["text_output"]))
        self.input_tokens = int(_number(response["num_input_tokens"]))
        self.output_tokens += int(_number(response["num_output_tokens"]))
        self.finish_reason = _text(response["finish_reason"])
        self.logprob = _number(response["cumulative_logprob"])
        if self.first_token is not None:
            return False
        self.first_token = self.heard
        return True

    @property
    def silence_s(self) -> float:
        return time.perf_counter() - self.heard

    def completion(self) -> Completion:
        first_token = self.first_token if self.first_token is not None else self.started
        return Completion(
            text="".join(self.pieces),
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            finish_reason=self.finish_reason,
            cumulative_logprob=None if math.isnan(self.logprob) else self.logprob,
            first_token_ms=1000 * (first_token - self.started),
            milliseconds=1000 * (time.perf_counter() - self.started),
        )


def _inputs(request: GenerationRequest) -> Tensors:
    flags = {name: np.array([value]) for name, value in FLAGS.items()}
    return {
        "text_input": text_tensor(request.prompt),
        "sampling_parameters": text_tensor(json.dumps(sampling_parameters(request))),
        **flags,
    }


def sampling_parameters(request: GenerationRequest) -> dict[str, Any]:
    """vLLM's SamplingParams; the backend wants `structured_outputs` as JSON inside the JSON.

    `logprobs` 0 means those of the sampled tokens only; without it vLLM sums none up.
    """
    parameters: dict[str, Any] = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "stop": list(request.stop),
        "logprobs": 0,
    }
    if request.schema is not None:
        parameters["structured_outputs"] = json.dumps({"json": request.schema})
    return parameters


def _number(tensor: Array) -> float:
    """The only element: vLLM's backend sends some outputs as [1], others as scalars."""
    return float(tensor.reshape(-1)[0])


def _text(tensor: Array) -> str:
    value = tensor.reshape(-1)[0]
    return value.decode() if isinstance(value, bytes) else str(value)
