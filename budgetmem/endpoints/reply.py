"""Puts the chunks of one streamed reply together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from budgetmem.backbone import Completion
from budgetmem.endpoints.chunks import Choice, Chunk, Delta, Usage
from budgetmem.reply_bounds import ReplySize

FINISHED = frozenset({"stop", "length", "content_filter"})


@dataclass
class Reply:
    """One reply so far. `clock` returns seconds."""

    size: ReplySize
    clock: Callable[[], float] = time.perf_counter
    started: float = field(init=False)
    first_token: float | None = None
    pieces: list[str] = field(default_factory=list)
    logprob: float | None = None
    finish_reason: str | None = None
    usage: Usage | None = None

    def __post_init__(self) -> None:
        self.started = self.clock()

    def add(self, chunk: Chunk) -> bool:
        """Takes a chunk; True if the first token is in it. Raises BackboneError for a reply that
        does not stop."""
        self.usage = chunk.usage or self.usage
        choices = chunk.choices or ()
        # Its tokens are not counted here: those that a server tells have its reasoning among them.
        self.size.add("".join(map(_content, choices)))
        said = [self._take(choice) for choice in choices]
        if self.first_token is not None or not any(said):
            return False
        self.first_token = self.clock()
        return True

    def _take(self, choice: Choice) -> bool:
        delta = choice.delta or Delta()  # the end may come with null
        if delta.content:
            self.pieces.append(delta.content)
        self.finish_reason = choice.finish_reason or self.finish_reason
        if choice.logprobs is not None:
            for token in choice.logprobs.content or ():
                self.logprob = (self.logprob or 0.0) + token.logprob
        return bool(delta.content or delta.reasoning_content or delta.reasoning)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def completion(self, usage: Usage) -> Completion:
        """The whole reply; without `finish_reason` it is none."""
        finite = self.logprob is not None and math.isfinite(self.logprob)
        now = self.clock()
        first_token = now if self.first_token is None else self.first_token
        return Completion(
            text=self.text,
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            finish_reason=self.finish_reason or "",
            cumulative_logprob=self.logprob if finite else None,
            first_token_ms=1000 * (first_token - self.started),
            milliseconds=1000 * (now - self.started),
            cached_tokens=usage.cached_tokens,
        )


def _content(choice: Choice) -> str:
    return (choice.delta or Delta()).content or ""
