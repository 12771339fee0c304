"""Routers choose a tier for every module of every query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from budgetmem.tiers import Tier
from budgetmem.types import Choice, Workspace


@dataclass(frozen=True)
class Decision:
    """One module waiting for its tier.

    `masked` names the tiers that a ceiling or the context length forbids, and why. `pinned` is
    the caller's own choice, if there is one.
    """

    module: str
    about: str
    work: Workspace
    cost_weight: float
    masked: Mapping[Tier, str] = field(default_factory=dict)
    pinned: Tier | None = None


class Router(Protocol):
    """Chooses tiers. All decisions of a stage come in one call, answers in the same order."""

    @property
    def version(self) -> str: ...

    async def choose(self, decisions: Sequence[Decision]) -> Sequence[Choice]: ...


def nearest_allowed(wanted: Tier, masked: Mapping[Tier, str]) -> Tier:
    """The wanted tier, or else the best below it, or else the cheapest above it.

    With every tier masked the answer is LOW: the pipeline then runs the floor rung instead.
    """
    below = [tier for tier in reversed(Tier) if tier <= wanted and tier not in masked]
    above = [tier for tier in Tier if tier > wanted and tier not in masked]
    return (below + above + [Tier.LOW])[0]


@dataclass(frozen=True)
class FixedRouter:
    """A constant policy: the pinned tier, or else `default`, as far as the ceilings allow."""

    default: Tier = Tier.MID
    tiers: Mapping[str, Tier] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Names this policy on receipts."""
        return f"fixed-{self.default.label}"

    async def choose(self, decisions: Sequence[Decision]) -> Sequence[Choice]:
        """One choice a decision, with all probability on the chosen tier."""
        return [self._choose(decision) for decision in decisions]

    def _choose(self, decision: Decision) -> Choice:
        wanted = decision.pinned
        if wanted is None:
            wanted = self.tiers.get(decision.module, self.default)
        tier = nearest_allowed(wanted, decision.masked)
        low, mid, high = (1.0 if tier == t else 0.0 for t in Tier)
        return Choice(tier, (low, mid, high), decision.masked)
