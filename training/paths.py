"""Which ways through the pipeline are walked for a recording.

A path is a tier for each of the five modules. There are 243 of them, and most differ little; a
plan takes few of them: what a model's time buys is better spent on more questions.
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


def planned(question: str, constants: bool = False) -> tuple[Path, ...]:
    """The paths of one question: two of the three stages vary fully, one is held.

    A stage that varies has three choices: the tiers of the filter or the summary, or three rows of
    tiers for the stage between them that give each of its modules every tier once.
    So a plan has nine paths, and every decision that is not held can be compared with its
    alternatives. What is held, and where, and the rows are drawn anew for every question, from
    its id. `constants` adds the paths of one tier for all modules.
    """
    draw = random.Random(f"paths of {question}")
    columns = [draw.sample(list(Tier), len(Tier)) for _ in STAGES["extract"]]
    single: list[Path] = [(tier,) for tier in Tier]
    choices: list[list[Path]] = [single, list(zip(*columns, strict=True)), single]
    held = draw.randrange(len(choices))
    choices[held] = [draw.choice(choices[held])]
    paths = [(*first, *middle, *last) for first, middle, last in product(*choices)]
    uniform = [constant(tier) for tier in Tier] if constants else []
    return tuple(dict.fromkeys([*paths, *uniform]))
