"""Requests to a real server, whose every outcome is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from budgetmem.client.aio import AsyncClient
from budgetmem.errors import (
    BackboneUnavailable,
    BudgetMemError,
    Conflict,
    DeadlineExceeded,
    Overloaded,
    ServerUnavailable,
)
from budgetmem.tiers import Tier
from budgetmem.types import Memory, Turn

RETRYABLE = (BackboneUnavailable, ServerUnavailable, Overloaded, Conflict)
HISTORY = "chaos"
QUESTION = "Who booked the flight?"
TURNS = [
    Turn(f"t{number}", ("Ana", "Bo")[number % 2], f"On day {number} I booked the flight again.")
    for number in range(40)
]

Ask = Callable[[], Awaitable[object]]


@dataclass
class Outcomes:
    """How many requests were answered, failed so that a retry helps, were late, or else failed."""

    counts: Counter[str] = field(default_factory=Counter)
    without_hint: int = 0

    async def of(self, ask: Ask) -> None:
        """Books what becomes of a request."""
        try:
            await ask()
        except RETRYABLE as exc:
            self.counts["retryable"] += 1
            hint = exc.retry_after_ms if isinstance(exc, Overloaded) else 1.0
            self.without_hint += hint <= 0
        except DeadlineExceeded:
            self.counts["late"] += 1
        except BudgetMemError:
            self.counts["failed"] += 1
        else:
            self.counts["answered"] += 1

    def report(self) -> dict[str, int]:
        """JSON-able."""
        return {
            **{name: self.counts[name] for name in ("answered", "retryable", "late", "failed")},
            "refused_without_hint": self.without_hint,
        }


def asks(client: AsyncClient, tier: Tier = Tier.LOW) -> Ask:
    """A question to HISTORY on one tier, under the strategy whose every tier is an LLM."""

    async def ask() -> Memory:
        return await client.extract(HISTORY, QUESTION, strategy="capacity", tier=tier)

    return ask


async def answered_whole(ask: Ask) -> bool:
    """Whether a request is answered with nothing left out for want of a model."""
    try:
        memory = await ask()
    except (*RETRYABLE, DeadlineExceeded):
        return False
    return isinstance(memory, Memory) and not _lacking(memory)


def _lacking(memory: Memory) -> bool:
    steps = memory.receipt.steps
    reasons = {reason for step in steps for reason in step.choice.masked.values()}
    reasons |= {fallback.reason for step in steps for fallback in step.fallbacks}
    return "unavailable" in reasons
