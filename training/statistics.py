"""Means with their intervals, and rank correlation."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 20260206
STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045),
)
"""Quantiles 0.975 of Student's t for 1 to 29 degrees of freedom."""


@dataclass(frozen=True)
class Mean:
    """A mean of `n` values, and the ends of its 95% interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def report(self) -> dict[str, float]:
        """JSON-able."""
        return asdict(self)


def bootstrap(values: ArrayLike) -> Mean:
    """The mean of values [n], with a percentile interval over resampled values.

    For two ways of doing the same things give the differences of their values: the interval is
    then a paired one. (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.)
    """
    held = np.asarray(values, dtype=np.float64)
    low, high = interval(held[resampled(len(held))].mean(axis=1))
    return Mean(float(held.mean()), low, high, len(held))


def of_repeats(values: ArrayLike) -> Mean:
    """The mean of measurements [n] of the same thing: with Student's interval up to 30 of them.

    What resampling makes of so few is too narrow: at n = 5 it holds the true mean in 86 of 100
    cases. One value has no interval: its ends are the value.
    """
    held = np.asarray(values, dtype=np.float64)
    if len(held) > len(STUDENT) + 1:
        return bootstrap(held)
    mean, half = float(held.mean()), 0.0
    if len(held) > 1:
        half = float(held.std(ddof=1)) / len(held) ** 0.5 * STUDENT[len(held) - 2]
    return Mean(mean, mean - half, mean + half, len(held))


def resampled(count: int, resamples: int = RESAMPLES) -> NDArray[np.int64]:
    """Places [resamples, count] of values that are drawn anew, always the same for a count."""
    return np.random.default_rng(SEED).integers(count, size=(resamples, count))


def interval(found: NDArray[np.float64]) -> tuple[float, float]:
    """The ends of the 95% interval of what resamples came to, by percentiles."""
    outside = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(found, (outside, 100 - outside)).tolist()
    return low, high


def spearman(first: ArrayLike, second: ArrayLike) -> float | None:
    """Spearman's rank correlation of two [n], equals sharing their mean rank.

    None where it is not defined: one side is constant.
    """
    one, other = (ranks - ranks.mean() for ranks in map(_ranks, (first, second)))
    spread = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / spread if spread > 0 else None


def _ranks(values: ArrayLike) -> NDArray[np.float64]:
    _, place, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return ranks
