"""Which ways through the pipeline are walked for a recording.

A path is a tier for each of the five modules. There are 243 of them, and most differ little; a
plan takes few of them, so chosen that each decision can be compared with its alternatives.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import product

from budgetmem.modules import MODULES
from budgetmem.stages import STAGES
from budgetmem.tiers import Tier

LETTERS = "LMH"
"""The tiers as a path is written: `LMHLH` has the tiers of the modules in order."""

Path = tuple[Tier, ...]
"""A tier for each of MODULES, in order."""

MODULE_COUNT = len(MODULES)

DEPTHS: Mapping[str, int] = {"filter": 0, "extract": 1, "summary": 4}
"""How many tiers have been chosen when a stage waits for its own."""


def constant(tier: Tier) -> Path:
    """One tier for all modules."""
    return (tier,) * len(MODULES)


def spell(path: Sequence[Tier]) -> str:
    """A path, or the beginning of one, in letters."""
    return "".join(LETTERS[tier] for tier in path)


def parse(letters: str) -> Path:
    """The inverse of `spell`. Raises ValueError for another letter."""
    return tuple(Tier(LETTERS.index(letter)) for letter in letters)


def tiers_of(path: Path) -> Mapping[str, Tier]:
    """As `Budget.tiers` has them."""
    return dict(zip(MODULES, path, strict=True))


def planned(question: str, squares: int) -> tuple[Path, ...]:
    """The paths of one question: every tier of the filter and of the summary, with the constant
    tiers of the stage between them and `squares` times three mixed ones.

    Three mixed ones form a Latin square: each module has each tier once. They are drawn anew for
    every question, from its id.
    """
    middles = [(tier,) * len(STAGES["extract"]) for tier in Tier]
    draw = random.Random(f"paths of {question}")
    while len(middles) < 3 * (squares + 1):
        columns = [draw.sample(list(Tier), 3) for _ in STAGES["extract"]]
        fresh = [row for row in zip(*columns, strict=True) if row not in middles]
        if len(fresh) == len(Tier):
            middles += fresh
    return tuple((first, *middle, last) for first, middle, last in product(Tier, middles, Tier))
