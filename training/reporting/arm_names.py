"""What kind of way of answering a name is: `training/arms.py` gives the names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from training.rollouts.paths import MODULE_COUNT

BLIND = "blind"
"""The label of a router that sees lambda alone."""

_CONSTANT = re.compile(rf"[LMH]{{{MODULE_COUNT}}}")
_PLAIN = re.compile(r"plain-\d+")


def constants(arms: Iterable[str]) -> list[str]:
    """The same tiers for every question."""
    return [arm for arm in arms if _CONSTANT.fullmatch(arm)]


def plain(arms: Iterable[str]) -> list[str]:
    """Retrieval alone."""
    return [arm for arm in arms if _PLAIN.fullmatch(arm)]


def routed(arms: Iterable[str]) -> Mapping[str, Mapping[float, str]]:
    """The arms of every router by its label, by lambda, in order."""
    found: dict[str, dict[float, str]] = {}
    for arm in arms:
        label, at, weight = arm.rpartition("@")
        if at:
            found.setdefault(label, {})[float(weight)] = arm
    return {label: dict(sorted(each.items())) for label, each in found.items()}
