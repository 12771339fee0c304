"""What a path that was not recorded would have cost, part by part.

A module's part follows from its own tier and from what the filter kept for it, the answer's from
the summary's tier: so a part is mostly known from another path of the same question. Where it is
not, it is that of other questions, in proportion to what this one has cost on the same tier.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from budgetmem.tiers import Tier
from training.rollouts.paths import EVERY_PATH

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]


def estimated(parts: Floats, others: Floats) -> Floats:
    """Costs (USD) of n questions on every path, [n, 243].

    `parts` are recorded ones [n, 243, parts]: retrieval, the modules, the answer; NaN for a path
    that was not recorded. `others` [m, 243, parts] are those of the questions to take for examples.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of means of nothing, which are NaN
        filled = [
            _filled(parts[..., at], others[..., at], fine, coarse)
            for at, (fine, coarse) in enumerate(_cells())
        ]
    total: Floats = np.sum(filled, axis=0)
    return np.where(np.isnan(parts[..., 0]), total, parts.sum(axis=2))


def _filled(part: Floats, others: Floats, fine: Cells, coarse: Cells) -> Floats:
    """One part [n, 243], by the cells that paths are in."""
    usual = np.nanmean(_means(others, fine), axis=0, keepdims=True)
    known = np.where(np.isnan(part), np.nan, usual)
    own, expected = _means(part, coarse), _means(known, coarse)
    scaled = usual * np.where(expected > 0, own / expected, 1.0)
    found = _means(part, fine)
    for instead in (scaled, usual, own, np.nanmean(others)):
        found = np.where(np.isnan(found), instead, found)
    return found


def _means(part: Floats, cells: Cells) -> Floats:
    """Of [n, 243], for every path the mean of the recorded paths in its cell; NaN without one."""
    by_cell = [np.nanmean(part[:, cells == cell], axis=1) for cell in range(int(cells.max()) + 1)]
    means: Floats = np.stack(by_cell, axis=1)[:, cells]
    return means


def _cells() -> Iterator[tuple[Cells, Cells]]:
    """For every part the cells in which it is nearly the same, and coarser ones."""
    filtered, *rest = EVERY_PATH.T
    one = np.zeros_like(filtered)
    yield one, one
    yield filtered, one
    for own in (*rest, rest[-1]):
        yield own * len(Tier) + filtered, own
