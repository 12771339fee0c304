"""A runner that says its prompt back, one byte a step, and what can go wrong with it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from budgetmem.errors import BackboneError, InvalidInput
from server.engines.base import Delta, Event, Failure, Progress
from server.engines.sampling import SamplingParams


class EchoRunner:
    """Generates the bytes of the prompt. Prompts `refuse`, `stumble`, `crash` and `full` do not."""

    def __init__(self) -> None:
        self.left: dict[int, tuple[list[int], SamplingParams]] = {}
        self.steps = 0
        self.resets = 0
        self.dropped: list[int] = []
        self.closed = False
        self.mends = True
        self.gate: threading.Event | None = None

    def add(self, sequence: int, prompt: str, params: SamplingParams) -> int:
        if prompt == "refuse":
            raise InvalidInput("text_input", "refused")
        if prompt == "stumble":
            raise BackboneError("the tokenizer failed")
        self.left[sequence] = (list(prompt.encode()), params)
        return len(prompt.encode())

    def step(self) -> Sequence[Progress]:
        if self.gate is not None:
            self.gate.wait(5)
        self.steps += 1
        if any(bytes(left) == b"crash" for left, _ in self.left.values()):
            raise BackboneError("lost")
        return [self._one(sequence) for sequence in list(self.left)]

    def _one(self, sequence: int) -> Progress:
        left, _ = self.left[sequence]
        if bytes(left) == b"full":
            del self.left[sequence]
            return Progress(sequence, (), (), error=BackboneError("full"))
        token = left.pop(0)
        if not left:
            del self.left[sequence]
        return Progress(sequence, (token,), (-0.5,), None if left else "stop")

    def drop(self, sequence: int) -> None:
        self.dropped.append(sequence)
        self.left.pop(sequence, None)

    def decode(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode(errors="ignore")

    def reset(self) -> None:
        self.resets += 1
        self.left.clear()
        if not self.mends:
            raise BackboneError("no memory")

    def close(self) -> None:
        self.closed = True


class Listener:
    """Collects the events of one request."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.first = threading.Event()
        self.ended = threading.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self.first.set()
        if isinstance(event, Failure) or event.finish_reason is not None:
            self.ended.set()

    def wait(self, seconds: float = 60) -> Listener:
        assert self.ended.wait(seconds), "the request did not end"
        return self

    @property
    def deltas(self) -> list[Delta]:
        return [event for event in self.events if isinstance(event, Delta)]

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas)

    @property
    def error(self) -> BaseException | None:
        last = self.events[-1]
        return last.error if isinstance(last, Failure) else None
