"""Tiers, rungs and strategies as data: the paper's three (section 3), and one without LLMs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

TierName = Literal["low", "mid", "high"]


class Tier(IntEnum):
    """How much a module may spend. The order is the order of cost."""

    LOW = 0
    MID = 1
    HIGH = 2

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Ask:
    """A rung answered by an LLM: `prompts/<module>/<style>.txt`, on a tier's backbone."""

    style: str
    backbone: TierName

    def __str__(self) -> str:
        return f"ask {self.style} @ {self.backbone}"


@dataclass(frozen=True)
class Apply:
    """A rung answered by local code or a task model: `Module.local[method]`."""

    method: str

    def __str__(self) -> str:
        return f"apply {self.method}"


Rung = Ask | Apply

STRATEGIES: Mapping[str, Mapping[Tier, Rung]] = {
    "implementation": {
        Tier.LOW: Apply("rules"),
        Tier.MID: Apply("specialist"),
        Tier.HIGH: Ask("direct", "high"),
    },
    "reasoning": {
        Tier.LOW: Ask("direct", "high"),
        Tier.MID: Ask("stepwise", "high"),
        Tier.HIGH: Ask("reflective", "high"),
    },
    "capacity": {
        Tier.LOW: Ask("direct", "low"),
        Tier.MID: Ask("direct", "mid"),
        Tier.HIGH: Ask("direct", "high"),
    },
    "extractive": {
        Tier.LOW: Apply("rules"),
        Tier.MID: Apply("specialist"),
        Tier.HIGH: Apply("as_found"),
    },
}

FLOOR = Apply("rules")
"""The rung below every ladder: local, free, and never out of budget."""

FREE = frozenset({FLOOR, Apply("as_found")})
"""Rungs that ask no model."""
