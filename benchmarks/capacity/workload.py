"""What a question is to the models, in tokens; and what tenants do, in questions.

Tokens were measured where models run on CPUs, by the tokenizer of Qwen2.5. Llama's may count a few
per cent otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

MEASURED_RETRIEVED = 400
"""Retrieved tokens where the prompts below were measured (profile `small`)."""
RETRIEVED = 800
"""Those of the profile `gpu`. All of the difference is added to every prompt of a module: too much,
since the filter takes some away."""
INSTRUCTION = 110
"""Tokens of a prompt behind the memories: the filter's prompt less what was retrieved. Siblings of
a prefix group read no more than these."""


@dataclass(frozen=True)
class Call:
    """One call of a model. `prompt` tokens, of which `cached` were read by a call before it."""

    prompt: int
    reply: int
    cached: int = 0

    @property
    def read(self) -> int:
        """Prompt tokens that have to be computed."""
        return self.prompt - self.cached

    @property
    def context(self) -> float:
        """Tokens in the KV cache, on average over the writing of the reply."""
        return self.prompt + self.reply / 2


MEASURED: Mapping[str, int] = {
    "filter": 527,
    "entity": 467,
    "temporal": 492,
    "topic": 460,
    "summary": 599,
    "answer": 252,
}
"""Tokens in and out of a call to the High tier, means over the 934 planned and uniform paths
through 152 questions of training/recordings/small-implementation-train.jsonl.gz, without those
that fell to a lower tier."""

REPLIES: Mapping[str, int] = {
    "filter": 16,
    "entity": 70,
    "temporal": 70,
    "topic": 70,
    "summary": 90,
    "answer": 8,
}
"""Tokens out of these. Entity, temporal and topic: 210 together (docs/benchmarks.md, throughput);
answer: measured, as above; filter and summary: estimates, eight numbers and 60 words."""

LIMITS: Mapping[str, int] = {
    "filter": 64,
    "entity": 192,
    "temporal": 192,
    "topic": 192,
    "summary": 192,
    "answer": 32,
}
"""Where replies are cut off: `[generation]` of the profiles."""

SIBLINGS = frozenset({"temporal", "topic"})
"""They follow entity, their leader, with the same memories first."""
EXTRACTION = ("filter", "entity", "temporal", "topic", "summary")
ANSWER = ("answer",)


def calls(parts: tuple[str, ...], replies: Mapping[str, int] = REPLIES) -> tuple[Call, ...]:
    """The calls of some parts of a question, all of them to LLMs."""
    return tuple(_call(part, replies[part]) for part in parts)


def _call(part: str, reply: int) -> Call:
    prompt = MEASURED[part] - REPLIES[part]
    if part in ANSWER:
        return Call(prompt, reply)
    prompt += RETRIEVED - MEASURED_RETRIEVED
    alone = Call(prompt, reply)
    return replace(alone, cached=prompt - INSTRUCTION) if part in SIBLINGS else alone


@dataclass(frozen=True)
class Tenant:
    """What a tenant keeps and asks. Assumed, not measured: put in yours."""

    histories: int = 5
    turns_a_history: int = 600
    """A LoCoMo conversation has 369 to 689 turns."""
    questions_a_day: float = 10.0

    @property
    def turns(self) -> int:
        return self.histories * self.turns_a_history


MIXES: Mapping[str, Mapping[str, float]] = {
    "all Low": {"low": 1.0},
    "all Mid": {"mid": 1.0},
    "all High": {"high": 1.0},
    "a third each": {"low": 1 / 3, "mid": 1 / 3, "high": 1 / 3},
    "mostly Low (70/20/10)": {"low": 0.7, "mid": 0.2, "high": 0.1},
    "rules, High for a third": {"high": 1 / 3},
}
"""The share of a question's module calls that go to each backbone; the rest runs on local rungs."""
