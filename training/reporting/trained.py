"""What a router that has results was trained for, and on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from budgetmem.router_artifact import RouterCard


@dataclass(frozen=True)
class Trained:
    """A router. `cost_weights` are the ends of the lambdas that it takes, None for any.

    `dataset`, `sha256`, `split` and `profile` are what it learned from, "" where its card does not
    say; a `blind` one sees lambda and the module alone.
    """

    version: str
    cost_weights: tuple[float, float] | None = None
    dataset: str = ""
    sha256: str = ""
    split: str = ""
    profile: str = ""
    blind: bool = False

    def takes(self, cost_weight: float) -> bool:
        """Whether it was trained for this lambda."""
        low, high = self.cost_weights or (cost_weight, cost_weight)
        return low <= cost_weight <= high

    def shares_lambdas(self, other: Trained) -> bool:
        """Whether there is a lambda that both take."""
        if self.cost_weights is None or other.cost_weights is None:
            return True
        (low, high), (least, most) = self.cost_weights, other.cost_weights
        return low <= most and least <= high

    def learned_from(self, sha256: str, split: str) -> bool:
        """Whether it was trained on this split of these data."""
        return (self.sha256, self.split) == (sha256, split)

    def __str__(self) -> str:
        known = (self.dataset, self.split, self.profile and f"profile {self.profile}")
        told = ", ".join(filter(None, (*known, self.sha256 and f"SHA-256 {self.sha256[:8]}")))
        return f"{self.version}{told and f' (trained on {told})'}{', blind' if self.blind else ''}"


Routers = Mapping[str, Sequence[Trained]]
"""Routers by label. Several of one label were trained for lambdas of their own: they are one way of
choosing together, each at its lambdas."""


def of_card(card: RouterCard) -> Trained:
    """As a router's card says."""
    weights = card.cost_weight
    router = Trained(
        version=card.version,
        cost_weights=(weights.min, weights.max),
        profile=card.profile,
        blind=_blind(card.training),
    )
    return _learned(router, card.training)


def of_recording(version: str, setting: Mapping[str, Any]) -> Trained:
    """Of a router that is made of a recording's outcomes, for any lambda."""
    return _learned(Trained(version, profile=str(setting.get("profile", ""))), setting)


def _learned(router: Trained, told: Mapping[str, Any]) -> Trained:
    dataset, sha256, split = (str(told.get(name, "")) for name in ("dataset", "sha256", "split"))
    return replace(router, dataset=dataset, sha256=sha256, split=split)


def _blind(told: object) -> bool:
    """The switch `config.policy.blind`; a card's training is for people, and may lack it."""
    for name in ("config", "policy", "blind"):
        told = told.get(name) if isinstance(told, Mapping) else None
    return told is True
