"""Which ways through the pipeline are walked for a recording.

A path is a tier for each of the five modules. There are 243 of them, and most differ little; a
plan takes few of them: what a model's time buys is better spent on more questions.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

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


EVERY_PATH: NDArray[np.int64] = np.array(list(product(Tier, repeat=MODULE_COUNT)))
"""Int64 [243, modules]: the tiers of each path, in the order in which figures are laid out."""


def constant(tier: Tier) -> Path:
    """One tier for all modules."""
    return (tier,) * len(MODULES)


UNIFORM: tuple[Path, ...] = tuple(map(constant, Tier))
"""All Low, all Mid and all High."""


def spell(path: Sequence[Tier]) -> str:
    """A path, or the beginning of one, in letters."""
    return "".join(LETTERS[tier] for tier in path)


def parse(letters: str) -> Path:
    """The path that is spelled so. Raises ValueError for letters that are none."""
    if len(letters) != MODULE_COUNT or not set(letters) <= set(LETTERS):
        raise ValueError(f"{letters!r} is no path: it takes {MODULE_COUNT} of {LETTERS}")
    return tuple(Tier(LETTERS.index(letter)) for letter in letters)


def numbers(tiers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of int64 [n, modules], the places in EVERY_PATH; of beginnings of paths, among all of their
    length likewise."""
    weights = len(Tier) ** np.arange(tiers.shape[1])[::-1]
    places: NDArray[np.int64] = tiers @ weights
    return places


def place_of(letters: str) -> int:
    """Of a path as it is spelled, the place in EVERY_PATH. Raises as `parse`."""
    return int(numbers(np.array([parse(letters)]))[0])


def tiers_of(path: Path) -> Mapping[str, Tier]:
    """As `Budget.tiers` has them."""
    return dict(zip(MODULES, path, strict=True))


TRIED = 2
"""Choices of a stage that varies."""


def planned(question: str) -> tuple[Path, ...]:
    """The paths of one question: two of the three stages vary, one is held.

    A stage that varies has two choices: of the three tiers of the filter or the summary, or of
    three rows of tiers for the stage between them, which give each of its modules every tier once.
    So a plan has four paths, and every decision that is not held can be compared with an
    alternative in the same state. What is held, which choices there are and the rows are drawn
    anew for every question, from its id.
    """
    draw = random.Random(f"paths of {question}")
    columns = [draw.sample(list(Tier), len(Tier)) for _ in STAGES["extract"]]
    single: list[Path] = [(tier,) for tier in Tier]
    stages: list[list[Path]] = [single, list(zip(*columns, strict=True)), single]
    held = draw.randrange(len(stages))
    choices = [
        draw.sample(all_, 1 if place == held else TRIED) for place, all_ in enumerate(stages)
    ]
    return tuple((*first, *middle, *last) for first, middle, last in product(*choices))
