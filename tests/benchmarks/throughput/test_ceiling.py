"""The orders of the ceiling, on a fake engine."""

from dataclasses import dataclass, field

import pytest

from benchmarks.throughput.ceiling import Driver, all_at_once, leaders_first, measure
from budgetmem.backbone import (
    GenerationRequest,
)
from budgetmem.errors import BackboneError
from server.engines.base import Progress


@dataclass
class FakeRunner:
    """Reads a prompt in one step, replies with two tokens; four sequences at a time."""

    added: list = field(default_factory=list)
    running: dict = field(default_factory=dict)
    most: int = 0
    steps: int = 0
    resets: list = field(default_factory=list)

    def reset(self):
        self.resets.append(len(self.added))

    def add(self, sequence, prompt, params):
        assert params.temperature == 0
        self.added.append(prompt)
        self.running[sequence] = 0
        self.most = max(self.most, len(self.running))
        return 1

    def step(self):
        self.steps += 1
        progress = []
        for sequence in list(self.running)[:4]:
            self.running[sequence] += 1
            done = self.running[sequence] == 2
            progress.append(Progress(sequence, (7,), (), "stop" if done else None))
            if done:
                del self.running[sequence]
        return progress


def prompt(group, number):
    return GenerationRequest(f"salt {group} {number}", 4, shared=len(f"salt {group} "))


PROMPTS = [prompt(group, number) for number in (1, 2, 3) for group in "ab"]


def test_leaders_go_first_and_siblings_follow_once_they_are_read():
    runner = FakeRunner()
    attempt = Driver(runner, clock=lambda: runner.steps).run(
        "o", PROMPTS, leaders_first(PROMPTS, 3)
    )
    assert [text.removeprefix("salt ") for text in runner.added[:2]] == ["a 1", "b 1"]
    assert sorted(runner.added) == sorted(each.prompt for each in PROMPTS)
    assert runner.most == 3
    assert (attempt.order, attempt.output_tokens, attempt.seconds) == ("o", 12, runner.steps)


def test_all_at_once_is_sorted_by_prefix():
    runner = FakeRunner()
    Driver(runner).run("o", PROMPTS, all_at_once(PROMPTS))
    assert [text[5] for text in runner.added] == ["a"] * 3 + ["b"] * 3
    assert runner.most == 6


def test_the_ceiling_tries_every_order_on_a_fresh_engine_and_takes_the_fastest():
    runner = FakeRunner()
    attempts = measure(Driver(runner, clock=lambda: runner.steps), PROMPTS, "salt", credits=1)
    assert [attempt.seconds for attempt in attempts] == sorted(a.seconds for a in attempts)
    assert attempts[-1].order == "leaders first, 1 at a time"
    starts = [runner.added[at : at + 7] for at in range(0, len(runner.added), 7)]
    assert runner.resets == [0, 7, 14]
    for warm, *measured in starts:
        assert not warm.startswith("salt")
        assert sorted(measured) == sorted(each.prompt for each in PROMPTS)
    with pytest.raises(BackboneError, match="lacks the salt"):
        measure(Driver(runner), PROMPTS, "pepper", credits=1)
