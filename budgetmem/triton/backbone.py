"""An LLM on Triton, under the contract of one of the official LLM backends."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from budgetmem.backbone import Completion, GenerationRequest, TokenCounter
from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.reply_bounds import LONGEST_SILENCE_S, ReplySize
from budgetmem.triton.channel import Channel
from budgetmem.triton.dialects import UNFINISHED, VLLM, Delta, Dialect
from budgetmem.triton.pulse import Pulse
from budgetmem.triton.reading import reading

FINISHED = frozenset({"stop", "length"})
PATIENCE_S = 5.0
PROBE = GenerationRequest(prompt=".", max_tokens=1)


class TritonBackbone:
    """A `budgetmem.backbone.Backbone` on Triton. Prompts go out as they come: already templated.

    A reply that is silent for `patience_s` seconds makes it send a one-token request of its own: to
    a model whose process died, Triton answers new requests with an error, but the old ones never.
    One that is silent for `longest_s` seconds is given up, whatever the model says to others, and
    so is one that does not stop (`budgetmem.reply_bounds`).
    """

    def __init__(
        self,
        channel: Channel,
        model: str,
        tokens: TokenCounter,
        *,
        dialect: Dialect = VLLM,
        patience_s: float = PATIENCE_S,
        longest_s: float = LONGEST_SILENCE_S,
    ) -> None:
        self._channel = channel
        self._model = model
        self._tokens = tokens
        self._dialect = dialect
        self._patience_s = patience_s
        self._longest_s = longest_s
        self._pulse = Pulse(lambda: self._read(PROBE, self._reply(PROBE), None))

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
        reply = self._reply(request)
        responses = asyncio.ensure_future(self._read(request, reply, on_first_token))
        try:
            while not (await asyncio.wait((responses,), timeout=self._patience_s))[0]:
                if reply.silence_s >= self._patience_s:
                    await self._pulse.check(responses)
                if reply.silence_s >= self._longest_s:
                    raise BackboneUnavailable(
                        f"{self._model} at {self._channel.url} said nothing for "
                        f"{self._longest_s:g} s: if it hangs, Triton has to be started anew"
                    )
            await responses
        finally:
            responses.cancel()
            await asyncio.wait((responses,))
        return reply.completion(self._ended(request, reply))

    def _reply(self, request: GenerationRequest) -> _Reply:
        return _Reply(ReplySize(f"{self._model} at {self._channel.url}", request.max_tokens))

    def _ended(self, request: GenerationRequest, reply: _Reply) -> str:
        """Why the reply ended.

        Raises BackboneUnavailable for one that broke off, BackboneError for one that is none.
        """
        reason = reply.finish_reason
        if reason is None and reply.first_token is not None:
            reason = self._dialect.ended(request, reply.output_tokens)
        if reason == UNFINISHED:
            raise BackboneUnavailable(
                f"{self._model} at {self._channel.url} went away in the middle of a reply"
            )
        if reason is None or reason not in FINISHED:
            raise BackboneError(
                f"{self._model} at {self._channel.url} ended a reply with the reason "
                f"{reason!r} and {reply.output_tokens} tokens"
            )
        return reason

    async def _read(
        self,
        request: GenerationRequest,
        reply: _Reply,
        on_first_token: Callable[[], None] | None,
    ) -> None:
        dialect = self._dialect
        responses = self._channel.stream(self._model, dialect.request(request), dialect.outputs)
        async with contextlib.aclosing(responses):
            async for response in responses:
                with reading(self._model, self._channel.url):
                    # One without tensors only ends the stream.
                    delta = dialect.delta(response) if response else None
                if reply.add(delta) and on_first_token is not None:
                    on_first_token()


@dataclass
class _Reply:
    """Puts the deltas of one streamed reply together. Times are of `time.perf_counter`."""

    size: ReplySize
    started: float = field(default_factory=time.perf_counter)
    first_token: float | None = None
    heard: float = field(default_factory=time.perf_counter)
    pieces: list[str] = field(default_factory=list)
    input_tokens: int = 0
    finish_reason: str | None = None
    logprob: float = math.nan

    @property
    def output_tokens(self) -> int:
        return self.size.tokens

    def add(self, delta: Delta | None) -> bool:
        """Takes what one response told, if anything; True if it is the first.

        Raises BackboneError for a reply that does not stop.
        """
        self.heard = time.perf_counter()
        if delta is None:
            self.size.add("")
            return False
        self.size.add(delta.text, delta.output_tokens)
        self.pieces.append(delta.text)
        self.input_tokens = delta.input_tokens
        self.finish_reason = delta.finish_reason
        self.logprob = delta.cumulative_logprob
        if self.first_token is not None:
            return False
        self.first_token = self.heard
        return True

    @property
    def silence_s(self) -> float:
        return time.perf_counter() - self.heard

    def completion(self, finish_reason: str) -> Completion:
        first_token = self.first_token if self.first_token is not None else self.started
        return Completion(
            text="".join(self.pieces),
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            finish_reason=finish_reason,
            cumulative_logprob=self.logprob if math.isfinite(self.logprob) else None,
            first_token_ms=1000 * (first_token - self.started),
            milliseconds=1000 * (time.perf_counter() - self.started),
        )
