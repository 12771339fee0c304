"""When which tenant asks what: drawn before the run, so that a slow server cannot slow it down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Arrival:
    """One question that is due `at` seconds after the run began; `question` is an index."""

    at: float
    tenant: str
    question: int


def poisson(
    offers: Mapping[str, float], seconds: float, questions: int, seed: Iterable[int]
) -> tuple[Arrival, ...]:
    """Arrivals of independent Poisson streams, in order of time.

    `offers` is questions/s by tenant. Each tenant goes through all `questions` in an order of its
    own, again and again. A tenant's stream depends on the seed and its name's place in the sorted
    offers alone, so it is the same beside others that sort after it.
    """
    seeds = list(seed)
    arrivals = [
        arrival
        for place, tenant in enumerate(sorted(offers))
        for arrival in _stream(tenant, offers[tenant], seconds, questions, [*seeds, place])
    ]
    return tuple(sorted(arrivals, key=lambda arrival: (arrival.at, arrival.tenant)))


def _stream(
    tenant: str, rate: float, seconds: float, questions: int, seed: list[int]
) -> Iterator[Arrival]:
    if rate <= 0:
        return
    times, order = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    picks = order.permutation(questions)
    at = float(times.exponential(1 / rate))
    count = 0
    while at < seconds:
        yield Arrival(at, tenant, int(picks[count % questions]))
        at += float(times.exponential(1 / rate))
        count += 1
