"""The values that travel through BudgetMem: turns, chunks, findings, budgets, receipts.

Everything here is immutable. Token counts are tokens of the model named beside them, money is
USD, durations are milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from budgetmem.tiers import Tier


@dataclass(frozen=True)
class Turn:
    """One utterance of a conversation, or one paragraph of a document.

    `id` is unique within its history and makes ingest idempotent. `session` groups the turns of
    one sitting; turns without one are grouped by the date of `time`.
    """

    id: str
    speaker: str
    text: str
    time: datetime | None = None
    session: str = ""
    caption: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Chunk:
    """A run of turns of one session, as it is retrieved and as the modules read it.

    `text` has one line a turn. `score` is the retrieval score (higher is better, its scale
    depends on the ranking). `tokens` are counted by the encoder's tokenizer.
    """

    id: str
    session: str
    time: datetime | None
    turn_ids: tuple[str, ...]
    text: str
    tokens: int
    score: float = 0.0


@dataclass(frozen=True)
class Finding:
    """Something a module learned about the question, and the chunks it learned it from.

    A Filter finding stands for one kept chunk; for the other modules `text` is a self-contained
    statement and `fields` its parts (for example subject, relation, object).
    """

    module: str
    text: str
    chunk_ids: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    score: float | None = None


@dataclass(frozen=True)
class Workspace:
    """What is known about one question so far: grown stage by stage, never mutated.

    `retrieved` are the chunks that retrieval found, `kept` those that Filter kept (all of them
    before Filter ran). Both are in time order. `asked_at` is the time of the question, if known,
    `tier` that on which the module that reads this runs.
    """

    query: str
    retrieved: tuple[Chunk, ...]
    kept: tuple[Chunk, ...]
    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    asked_at: datetime | None = None
    tier: Tier = Tier.MID

    @classmethod
    def start(
        cls, query: str, retrieved: tuple[Chunk, ...], asked_at: datetime | None = None
    ) -> Workspace:
        return cls(query=query, retrieved=retrieved, kept=retrieved, asked_at=asked_at)

    def with_findings(self, found: Mapping[str, tuple[Finding, ...]]) -> Workspace:
        return replace(self, findings={**self.findings, **found})

    def with_kept(self, chunk_ids: frozenset[str]) -> Workspace:
        return replace(self, kept=tuple(c for c in self.retrieved if c.id in chunk_ids))


@dataclass(frozen=True)
class Budget:
    """What the caller grants one request.

    `tiers` pins modules to tiers (by module name). `cost_weight` is the paper's lambda, >= 0; None
    means the least that the router was trained for, 0 as a rule. The ceilings are hard and cover
    the whole request, the answer included; None means no ceiling.
    """

    tiers: Mapping[str, Tier] = field(default_factory=dict)
    cost_weight: float | None = None
    max_cost_usd: float | None = None
    max_latency_ms: float | None = None


@dataclass(frozen=True)
class Usage:
    """Work that was paid for: tokens of one or several calls, their price and their duration.

    `cache_hits` are texts whose embedding or annotation was remembered.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    milliseconds: float = 0.0
    calls: int = 0
    failed_calls: int = 0
    cache_hits: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_usd + other.cost_usd,
            self.milliseconds + other.milliseconds,
            self.calls + other.calls,
            self.failed_calls + other.failed_calls,
            self.cache_hits + other.cache_hits,
        )


@dataclass(frozen=True)
class Fallback:
    """A rung that was tried and given up, and why; the rung below it ran instead."""

    rung: str
    reason: str


@dataclass(frozen=True)
class Choice:
    """A router's decision for one module.

    `probabilities` are over (Low, Mid, High) and sum to 1; `masked` names the tiers that a
    ceiling forbade, and why. `cost_weight` is the lambda that was applied; None where none was: the
    tier was pinned, or the router weighs nothing.
    """

    tier: Tier
    probabilities: tuple[float, float, float]
    masked: Mapping[Tier, str] = field(default_factory=dict)
    cost_weight: float | None = None


@dataclass(frozen=True)
class Step:
    """One decision and what came of it: the receipt reports it, training learns from it.

    `rung` is what ran in the end, for example `ask direct @ backbone_mid` or `apply rules`.
    """

    module: str
    choice: Choice
    rung: str
    usage: Usage
    fallbacks: tuple[Fallback, ...] = ()
    mean_logprob: float | None = None
    finish_reason: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What one request did and what it cost, failed calls and the answer included.

    `total` sums tokens, USD and calls of retrieval, steps and answer; its milliseconds are the
    request's wall time, which is less than the sum where modules ran side by side. `router` is
    the version of the router that chose.
    """

    strategy: str
    router: str
    steps: tuple[Step, ...]
    retrieval: Usage
    answer: Usage | None
    total: Usage
    retrieved_chunk_ids: tuple[str, ...]
    kept_chunk_ids: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Memory:
    """The extracted memory: the text for the agent's prompt, what it rests on, and its receipt."""

    text: str
    findings: Mapping[str, tuple[Finding, ...]]
    chunks: tuple[Chunk, ...]
    receipt: Receipt


@dataclass(frozen=True)
class Answer:
    """An answer to the question from the extracted memory alone. The receipt covers both."""

    text: str
    memory: Memory
    receipt: Receipt
