"""What a generation engine is: prompts in, events out, from a thread of its own.

An `Engine` is what the Triton model talks to. A `Runner` is what a library has to offer to become
one: `ThreadedEngine` adds the thread, the text and the events, so that stop strings, streaming and
cancellation are the same for every library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from budgetmem.errors import BackboneError, BudgetMemError
from server.engines.sampling import SamplingParams

FinishReason = Literal["stop", "length"]


class RequestCancelled(BackboneError):
    """The client cancelled the request; what was generated of it is dropped."""


@dataclass(frozen=True)
class Delta:
    """New output of one request.

    `text` never ends within a character or within a possible stop string. `output_tokens` counts
    the tokens since the last Delta, the end token included; `logprob` is the sum of their natural
    log-probabilities, NaN where the engine does not compute them. `finish_reason` is set on the
    last Delta only.
    """

    text: str
    input_tokens: int
    output_tokens: int
    logprob: float
    finish_reason: FinishReason | None


@dataclass(frozen=True)
class Failure:
    """The last event of a request that failed."""

    error: BudgetMemError


Event = Delta | Failure


class Handle(Protocol):
    """A submitted request. `cancel` may be called at any time, from any thread, repeatedly."""

    def cancel(self) -> None: ...


class Engine(Protocol):
    """Generates for many requests at once.

    `on_event` is called on the engine's thread, in order, until a Failure or a Delta with a
    finish reason; it must neither raise nor block for long. `submit` returns at once and raises
    BackboneUnavailable once the engine is closed or broken beyond repair.
    """

    def submit(
        self, prompt: str, params: SamplingParams, on_event: Callable[[Event], None]
    ) -> Handle: ...

    def close(self, timeout: float) -> None:
        """Refuses new requests, waits up to `timeout` seconds for the others, fails the rest."""


@dataclass(frozen=True)
class Progress:
    """What one step did for one sequence: new tokens, and why it ended if it did."""

    sequence: int
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason | None = None
    error: BudgetMemError | None = None


class Runner(Protocol):
    """A batch of sequences that a library advances together. Used from one thread only."""

    def add(self, sequence: int, prompt: str, params: SamplingParams) -> int:
        """Admits a sequence and returns its prompt tokens.

        Raises InvalidInput where the request can never run, naming the field, BackboneError where
        it fails otherwise; the batch is as it was.
        """

    def step(self) -> Sequence[Progress]:
        """Advances every admitted sequence as far as one iteration does.

        Raises BackboneError if the batch is lost; then `reset` must come before anything else.
        """

    def drop(self, sequence: int) -> None:
        """Forgets a sequence that has not ended, and frees what it holds."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens without special ones; an incomplete character is absent or U+FFFD."""

    def reset(self) -> None:
        """Starts again with an empty batch. Raises BackboneError if that cannot be done."""

    def close(self) -> None:
        """Frees the weights."""
