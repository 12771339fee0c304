"""What kind of way of answering a name is (`training/arms.py` has the ways)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from training.rollouts.paths import MODULE_COUNT

BLIND = "blind"
"""The label of a router that sees lambda alone: what reading the question is worth to others."""

CHUNK_TOKENS = 256
"""Of one of the k chunks of plain retrieval (paper, section on evaluation)."""

PLAIN = "plain"
"""Retrieval alone, in the evaluation's own budget; PLAIN-K in that of K chunks."""

NO_MEMORY = "no-memory"
"""The answerer has the question alone: no history was read for it."""

_CONSTANT = re.compile(rf"[LMH]{{{MODULE_COUNT}}}")
_PLAIN = re.compile(rf"{PLAIN}(-\d+)?")


def constants(arms: Iterable[str]) -> list[str]:
    """The same tiers for every question."""
    return [arm for arm in arms if _CONSTANT.fullmatch(arm)]


def plain(arms: Iterable[str]) -> list[str]:
    """Retrieval alone."""
    return [arm for arm in arms if _PLAIN.fullmatch(arm)]


def retrieved_tokens(arm: str, budget: int) -> int:
    """How many tokens a way of answering retrieves at most; `budget` is the evaluation's."""
    if arm == NO_MEMORY:
        return 0
    chunks = arm.rpartition("-")[2] if plain([arm]) else ""
    return int(chunks) * CHUNK_TOKENS if chunks.isdecimal() else budget


def routed(arms: Iterable[str]) -> Mapping[str, Mapping[float, str]]:
    """The arms of every router by its label, by lambda, in order."""
    found: dict[str, dict[float, str]] = {}
    for arm in arms:
        label, at, weight = arm.rpartition("@")
        if at:
            found.setdefault(label, {})[float(weight)] = arm
    return {label: dict(sorted(each.items())) for label, each in found.items()}
