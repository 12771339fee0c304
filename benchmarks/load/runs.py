"""The runs of each scenario: who offers how much, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

FACTORS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Rates of a sweep as shares of the saturation: below the knee, at it, past it."""

FLOOD_TENANTS = 8
QUIET_SHARE = 0.5
"""What the well-behaved tenants offer together, as a share of the saturation."""

FLOOD_FACTOR = 4.0
ALONE, FLOODED = "alone", "flooded"


@dataclass(frozen=True)
class Run:
    """One run of the generator; `offers` is questions/s by tenant."""

    scenario: str
    label: str
    repeat: int
    offers: Mapping[str, float]


def tenants(count: int) -> list[str]:
    """Names of tenants, in sorted order for up to nine."""
    return [f"tenant-{number}" for number in range(1, count + 1)]


def sweep(rates: Sequence[float], names: Sequence[str], repeats: int) -> Iterator[Run]:
    """Every rate (questions/s of all tenants together), as often as there are repeats.

    A repeat goes through all rates before the next one begins, so that slow changes of the
    machine touch all of them.
    """
    for repeat in range(repeats):
        for rate in rates:
            offers = dict.fromkeys(names, rate / len(names))
            yield Run("sweep", f"{rate:.3g}/s", repeat, offers)


def flood(saturation: float, repeats: int) -> Iterator[Run]:
    """Seven tenants at half the saturation together: alone, then beside one that floods."""
    *quiet, loud = tenants(FLOOD_TENANTS)
    offers = dict.fromkeys(quiet, saturation * QUIET_SHARE / len(quiet))
    for repeat in range(repeats):
        yield Run("flood", ALONE, repeat, offers)
        yield Run("flood", FLOODED, repeat, {**offers, loud: saturation * FLOOD_FACTOR})


def quiet_tenants() -> frozenset[str]:
    """Those of the flood scenario whose share is measured."""
    return frozenset(tenants(FLOOD_TENANTS)[:-1])
