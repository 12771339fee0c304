"""Routers choose a tier for every module of every query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from budgetmem.errors import InvalidInput
from budgetmem.features import State
from budgetmem.info import CostWeights
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
    def cost_weights(self) -> CostWeights | None:
        """Those that a decision may have; None if they have no effect, and receipts then say so."""
        ...

    async def choose(self, decisions: Sequence[Decision]) -> Sequence[Choice]: ...


class Routers(Protocol):
    """The router of each strategy. A request asks once, and keeps what it got to its end."""

    def of(self, strategy: str) -> Router: ...


def check_cost_weight(router: Router, cost_weight: float | None) -> None:
    """Raises InvalidInput for a cost weight that the router was not trained for."""
    known = router.cost_weights
    if known is None or cost_weight is None or cost_weight in known:
        return
    raise InvalidInput(
        "budget.cost_weight",
        f"{cost_weight:g} is not within {known.min:g} to {known.max:g}, for which the router "
        f"{router.version} was trained",
    )


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
    def cost_weights(self) -> None:
        """None: it weighs nothing."""
        return None

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
