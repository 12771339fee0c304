"""Routers choose a tier for every module of every query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from budgetmem.features import State
from budgetmem.tiers import Tier
from budgetmem.types import Choice


@dataclass(frozen=True)
class Decision:
    """One module of a stage, waiting for its tier in some state.

    `masked` names the tiers that a ceiling or the context length forbids, and why. `pinned` is
    the caller's own choice, if there is one. `cost_weight` is the caller's, None if there is none.
    """

    module: str
    stage: str
    state: State
    cost_weight: float | None
    masked: Mapping[Tier, str] = field(default_factory=dict)
    pinned: Tier | None = None


class Router(Protocol):
    """Chooses tiers. All decisions of a stage come in one call, answers in the same order."""

    @property
    def version(self) -> str: ...

    @property
    def uses_cost_weight(self) -> bool:
        """Whether a decision's cost weight has an effect; if not, receipts say so."""
        ...

    async def choose(self, decisions: Sequence[Decision]) -> Sequence[Choice]: ...


class Routers(Protocol):
    """The router of each strategy. A request asks once, and keeps what it got to its end."""

    def of(self, strategy: str) -> Router: ...


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

    def of(self, strategy: str) -> FixedRouter:
        """Itself, for every strategy."""
        return self

    @property
    def version(self) -> str:
        """Names this policy on receipts."""
        return f"fixed-{self.default.label}"

    @property
    def uses_cost_weight(self) -> bool:
        """Never: it weighs nothing."""
        return False

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
