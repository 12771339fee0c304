"""What a server tells about itself: models, prices, strategies, routers, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from budgetmem.tiers import Tier

BATCH_TURNS = 256
"""Most turns that a client sends in one message: small enough to show progress. No server
may be told to take fewer."""


@dataclass(frozen=True)
class Limits:
    """What a request, and a history, may not exceed. Texts are measured in bytes of UTF-8.

    `message_turns` keep a single message from holding the server up: 16 MiB have room for 400,000
    turns, which take seconds to read. So do `retrieval_tokens` a single query: what is found is
    put together, and becomes prompts, in time that grows with the square of its length, which no
    deadline cuts short.

    `history_turns` and `history_bytes` are far above any conversation. They keep a single history
    from holding the server up: a search reads all of its vectors, 300 MB at 200,000 turns of 384
    float32 numbers each.
    """

    message_bytes: int = 16 * 1024 * 1024
    query_bytes: int = 32 * 1024
    turn_bytes: int = 1024 * 1024
    name_bytes: int = 256
    history_turns: int = 200_000
    history_bytes: int = 256 * 1024 * 1024
    message_turns: int = 10_000
    retrieval_tokens: int = 16_384


@dataclass(frozen=True)
class ModelPrice:
    """USD per million tokens, and where the figures come from."""

    input: float
    output: float
    source: str


@dataclass(frozen=True)
class BackboneInfo:
    """One LLM: the tiers it fills, its name on Triton (none for an endpoint), its context in
    tokens."""

    name: str
    tiers: tuple[Tier, ...]
    triton_model: str
    engine: str
    weights: str
    context: int
    price: ModelPrice


@dataclass(frozen=True)
class TaskModelInfo:
    """The encoder or the tagger."""

    triton_model: str
    weights: str
    price: ModelPrice


@dataclass(frozen=True)
class StrategyInfo:
    """What the three tiers mean, for example `apply rules` or `ask direct @ high`."""

    name: str
    low: str
    mid: str
    high: str


@dataclass(frozen=True)
class RetrievalInfo:
    """Retrieval where a request does not say. `max_tokens` are tokens of the encoder."""

    ranking: str
    max_tokens: int


@dataclass(frozen=True)
class CostWeights:
    """The cost weights (lambda) that a router was trained for, ends included."""

    min: float
    max: float

    def __contains__(self, cost_weight: float) -> bool:
        return self.min <= cost_weight <= self.max


@dataclass(frozen=True)
class Interval:
    """A mean, and the ends of its 95% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class FrontierPoint:
    """What a router came to under one cost weight: score from 0 to 1, USD of a question."""

    cost_weight: float
    score: Interval
    cost_usd: Interval


@dataclass(frozen=True)
class Frontier:
    """What a router's choices came to on questions of `dataset`, by cost weight in rising order.

    It was picked among others by these questions, so others are likely to score less.
    """

    dataset: str
    profile: str
    questions: int
    points: tuple[FrontierPoint, ...]


@dataclass(frozen=True)
class Sample:
    """One value of one metric, under Prometheus' name for it."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class RouterVersion:
    """A strategy's router before a reload, and after it."""

    strategy: str
    old_version: str
    version: str


@dataclass(frozen=True)
class ServerInfo:
    """What a server runs.

    `router` chooses where a strategy has none of its own; `routers` is the version of each
    strategy's router, `cost_weights` what it was trained for, if it is a trained one, `frontiers`
    what it came to then, if it says so.
    """

    version: str
    profile: str
    about: str
    backbones: tuple[BackboneInfo, ...]
    answerer: str
    encoder: TaskModelInfo
    tagger: TaskModelInfo
    strategies: tuple[StrategyInfo, ...]
    modules: tuple[str, ...]
    router: str
    retrieval: RetrievalInfo
    limits: Limits = field(default_factory=Limits)
    routers: Mapping[str, str] = field(default_factory=dict)
    cost_weights: Mapping[str, CostWeights] = field(default_factory=dict)
    frontiers: Mapping[str, Frontier] = field(default_factory=dict)
