"""The ceiling: given prompts on an engine alone, in the order that suits it best.

No service, no Triton, no pause between steps, no waiting for one stage to begin the next, no
encoder or tagger work. What comes out is what no way of making the calls can pass by much.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.throughput.service import new_salt
from budgetmem.backbone import GenerationRequest
from budgetmem.errors import BackboneError
from budgetmem.triton.dialects import sampling_parameters
from server.engines.base import Runner
from server.engines.sampling import SamplingParams

Prompts = Sequence[GenerationRequest]
WINDOW = 32
"""The window that is tried beside the backbone's credits."""


@dataclass
class Line:
    """Requests in the order in which they go, by index, at most `window` at a time.

    Those `behind` another one get to the front once that one's prompt has been read.
    """

    ready: deque[int]
    window: int
    behind: dict[int, list[int]] = field(default_factory=dict)

    def read(self, leader: int) -> None:
        self.ready.extendleft(reversed(self.behind.pop(leader, [])))


def leaders_first(prompts: Prompts, window: int) -> Line:
    """One of each prefix group goes first, the others follow it as soon as it has been read."""
    groups = list(_groups(prompts).values())
    return Line(
        deque(leader for leader, *_ in groups),
        window,
        {leader: others for leader, *others in groups},
    )


def all_at_once(prompts: Prompts) -> Line:
    """Everything is handed to the engine at the beginning, groups side by side."""
    members = [index for group in _groups(prompts).values() for index in group]
    return Line(deque(members), window=len(members))


def orders(prompts: Prompts, credits: int) -> dict[str, partial[Line]]:
    """The orders to try, by name; what comes from calling one is used up by one run."""
    tried = {"all at once, sorted by prefix": partial(all_at_once, prompts)}
    for window in sorted({credits, WINDOW}):
        tried[f"leaders first, {window} at a time"] = partial(leaders_first, prompts, window)
    return tried


@dataclass(frozen=True)
class Attempt:
    """One order: its time, and the tokens that came out."""

    order: str
    seconds: float
    output_tokens: int


@dataclass
class Driver:
    """Runs requests on a runner, one line after the other."""

    runner: Runner
    clock: Callable[[], float] = time.perf_counter
    _sequences: count[int] = field(default_factory=lambda: count(1))

    def run(self, order: str, prompts: Prompts, line: Line) -> Attempt:
        """Raises BackboneError if the engine fails a request."""
        params = [SamplingParams.parse(json.dumps(sampling_parameters(each))) for each in prompts]
        running: dict[int, int] = {}
        output_tokens = 0
        begin = self.clock()
        while line.ready or running:
            while line.ready and len(running) < line.window:
                index = line.ready.popleft()
                sequence = next(self._sequences)
                self.runner.add(sequence, prompts[index].prompt, params[index])
                running[sequence] = index
            for progress in self.runner.step():
                if progress.error is not None:
                    raise progress.error
                output_tokens += len(progress.tokens)
                line.read(running[progress.sequence])
                if progress.finish_reason is not None:
                    del running[progress.sequence]
        return Attempt(order, self.clock() - begin, output_tokens)


def measure(driver: Driver, prompts: Prompts, salt: str, credits: int) -> list[Attempt]:
    """Every order once, each on an engine that starts anew, the fastest first.

    Before each, one prompt of each schema goes through with a salt in place of `salt`: that is not
    measured, and leaves nothing in the cache that the prompts could use.
    """
    schemas = {json.dumps(each.schema): each for each in prompts}
    attempts = []
    for name, line in orders(prompts, credits).items():
        driver.runner.reset()
        warm = _resalted(list(schemas.values()), salt)
        driver.run("warm-up", warm, all_at_once(warm))
        attempts.append(driver.run(name, prompts, line()))
    return sorted(attempts, key=lambda attempt: attempt.seconds)


def measure_openvino(
    weights: Path, options: Mapping[str, str], prompts: Prompts, salt: str, credits: int
) -> list[Attempt]:
    """As `measure`, on an engine that is opened for it: for a process of its own."""
    # An optional dependency, and heavy: only this child loads it.
    from server.engines.openvino import OpenVinoOptions, OpenVinoRunner  # noqa: PLC0415
    from server.engines.options import read_options  # noqa: PLC0415

    runner = OpenVinoRunner(weights, read_options(OpenVinoOptions, options))
    try:
        return measure(Driver(runner), prompts, salt, credits)
    finally:
        runner.close()


def _groups(prompts: Prompts) -> dict[str, list[int]]:
    """Indices by what the prompts share; a prompt that shares nothing is a group of its own."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, each in enumerate(prompts):
        groups[each.prompt[: each.shared] or f"{each.prompt}{index}"].append(index)
    return groups


def _resalted(prompts: Prompts, salt: str) -> list[GenerationRequest]:
    """Raises BackboneError for a prompt without the salt: its cache could not be told apart."""
    other = new_salt()
    for each in prompts:
        if salt not in each.prompt:
            raise BackboneError(f"a recorded prompt lacks the salt {salt}")
    return [replace(each, prompt=each.prompt.replace(salt, other, 1)) for each in prompts]
