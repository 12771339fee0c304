"""Queries, budgets and ingests: made by the client, validated by the server.

Every fault is an InvalidInput whose field is the path in the request's message.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from budgetmem.errors import InvalidInput
from budgetmem.info import Limits
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Budget, Turn
from budgetmem.wire.values import TIERS, decode_tier, decode_time, decode_turn, encode_time

DEFAULT_STRATEGY = "implementation"
TENANT_KEY = "budgetmem-tenant"
"""The metadata header that names the tenant of a call, where no credential does."""

AUTHORIZATION_KEY = "authorization"
"""The metadata header of a credential: `Bearer` and an API key or a JWT."""


@dataclass(frozen=True)
class Query:
    """A validated ExtractRequest; all that is in it but the tenant."""

    history: str
    query: str
    strategy: str
    budget: Budget
    max_tokens: int | None
    asked_at: datetime | None


def encode_query(
    history: str,
    query: str,
    *,
    strategy: str = DEFAULT_STRATEGY,
    budget: Budget | None = None,
    tier: Tier | None = None,
    max_tokens: int | None = None,
    asked_at: datetime | None = None,
) -> pb.ExtractRequest:
    """`tier` pins every module that `budget.tiers` does not."""
    return pb.ExtractRequest(
        history=history,
        query=query,
        strategy=strategy,
        budget=_encode_budget(budget or Budget(), tier),
        retrieval=pb.Retrieval(max_tokens=max_tokens),
        asked_at=encode_time(asked_at),
    )


def _encode_budget(budget: Budget, tier: Tier | None) -> pb.Budget:
    return pb.Budget(
        tier=pb.TIER_UNSPECIFIED if tier is None else TIERS[tier],
        tiers={module: TIERS[pinned] for module, pinned in budget.tiers.items()},
        cost_weight=budget.cost_weight,
        max_cost_usd=budget.max_cost_usd,
        max_latency_ms=budget.max_latency_ms,
    )


def decode_query(
    message: pb.ExtractRequest, limits: Limits, modules: Sequence[str], prefix: str = ""
) -> Query:
    """Validates a query. `modules` are the names that may be pinned; `prefix` starts the paths."""
    return Query(
        history=decode_name(message.history, f"{prefix}history", limits),
        query=_decode_query_text(message.query, f"{prefix}query", limits),
        strategy=_decode_strategy(message.strategy, f"{prefix}strategy"),
        budget=_decode_budget(message.budget, modules, f"{prefix}budget"),
        max_tokens=_decode_max_tokens(message.retrieval, f"{prefix}retrieval.max_tokens", limits),
        asked_at=decode_time(message.asked_at, f"{prefix}asked_at"),
    )


def decode_name(name: str, field: str, limits: Limits) -> str:
    """A name that is not blank and not too long."""
    if not name.strip():
        raise InvalidInput(field, "must not be empty")
    _check_size(name, field, limits.name_bytes)
    return name


def decode_turns(messages: Sequence[pb.Turn], limits: Limits) -> tuple[Turn, ...]:
    """At least one turn, each with id, speaker, text and a readable time."""
    _check_count(messages, "turns", limits)
    return tuple(_decode_whole_turn(m, f"turns[{i}]", limits) for i, m in enumerate(messages))


def decode_turn_ids(ids: Sequence[str], limits: Limits) -> tuple[str, ...]:
    """At least one, none of them empty."""
    _check_count(ids, "turn_ids", limits)
    for place, each in enumerate(ids):
        if not each:
            raise InvalidInput(f"turn_ids[{place}]", "must not be empty")
    return tuple(ids)


def _check_count(given: Sequence[object], field: str, limits: Limits) -> None:
    if not given:
        raise InvalidInput(field, "must not be empty")
    if len(given) > limits.message_turns:
        raise InvalidInput(
            field,
            f"are {len(given)}, {limits.message_turns} are the most of one message: send several",
        )


def _decode_whole_turn(message: pb.Turn, field: str, limits: Limits) -> Turn:
    decode_name(message.id, f"{field}.id", limits)
    decode_name(message.speaker, f"{field}.speaker", limits)
    if not message.text.strip():
        raise InvalidInput(f"{field}.text", "must not be empty")
    _check_size(message.text, f"{field}.text", limits.turn_bytes)
    _check_size(message.session, f"{field}.session", limits.name_bytes)
    return decode_turn(message, field)


def _decode_query_text(text: str, field: str, limits: Limits) -> str:
    if not text.strip():
        raise InvalidInput(field, "must not be empty")
    _check_size(text, field, limits.query_bytes)
    return text


def _check_size(text: str, field: str, limit: int) -> None:
    size = len(text.encode())
    if size > limit:
        raise InvalidInput(field, f"is {size} bytes long, the limit is {limit} bytes")


def _decode_strategy(name: str, field: str) -> str:
    if name and name not in STRATEGIES:
        raise InvalidInput(field, f"{name!r} is not one of {', '.join(STRATEGIES)}")
    return name or DEFAULT_STRATEGY


def _decode_budget(message: pb.Budget, modules: Sequence[str], field: str) -> Budget:
    for name in message.tiers:
        if name not in modules:
            raise InvalidInput(f"{field}.tiers", f"{name!r} is not one of {', '.join(modules)}")
    pinned = {n: decode_tier(t, f'{field}.tiers["{n}"]') for n, t in message.tiers.items()}
    if message.tier != pb.TIER_UNSPECIFIED:
        tier = decode_tier(message.tier, f"{field}.tier")
        pinned = dict.fromkeys(modules, tier) | pinned
    return Budget(
        tiers=pinned,
        cost_weight=_decode_amount(message, "cost_weight", field),
        max_cost_usd=_decode_amount(message, "max_cost_usd", field),
        max_latency_ms=_decode_amount(message, "max_latency_ms", field),
    )


def _decode_amount(message: pb.Budget, name: str, field: str) -> float | None:
    if not message.HasField(name):  # type: ignore[arg-type]
        return None
    amount = float(getattr(message, name))
    if not math.isfinite(amount) or amount < 0:
        raise InvalidInput(f"{field}.{name}", f"is {amount}, must be a finite number >= 0")
    return amount


def _decode_max_tokens(message: pb.Retrieval, field: str, limits: Limits) -> int | None:
    if not message.HasField("max_tokens"):
        return None
    if message.max_tokens <= 0:
        raise InvalidInput(field, f"is {message.max_tokens}, must be > 0")
    if message.max_tokens > limits.retrieval_tokens:
        most = f"{limits.retrieval_tokens} are the most (serve --max-retrieval-tokens)"
        raise InvalidInput(field, f"is {message.max_tokens}, {most}")
    return message.max_tokens
