"""What a run says: rates, latencies from the intended times, goodput, and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OK = "OK"
REFUSED = "RESOURCE_EXHAUSTED"


@dataclass(frozen=True)
class Sample:
    """One question. Times are seconds since the run began; `status` is a gRPC status by name."""

    tenant: str
    intended: float
    sent: float
    finished: float
    status: str

    @property
    def latency(self) -> float:
        """Seconds from when it was due, so that a late send counts against the server."""
        return self.finished - self.intended


@dataclass(frozen=True)
class Window:
    """The part of a run that is measured, in seconds since it began: what is before is warm-up."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def holds(self, at: float) -> bool:
        return self.start <= at < self.end


@dataclass(frozen=True)
class Measures:
    """Of the questions due in the window. Rates are questions/s, times milliseconds.

    `answered` counts the good answers that came within the window, whenever they were due.
    `goodput` counts the questions that were answered within the objective. Latencies are of all
    but the refused ones: what failed or timed out is a sample like any other. None: no samples.
    """

    offered: float
    sent: float
    answered: float
    goodput: float
    refused: float
    failed: float
    lag_p99_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    statuses: dict[str, int]


def measure(samples: Sequence[Sample], window: Window, slo_s: float) -> Measures:
    """The figures of one run; `slo_s` is the latency objective in seconds."""
    due = [sample for sample in samples if window.holds(sample.intended)]
    done = [s for s in samples if s.status == OK and window.holds(s.finished)]
    good = [s for s in due if s.status == OK and s.latency <= slo_s]
    statuses = Counter(sample.status for sample in due)
    failed = sum(n for status, n in statuses.items() if status not in {OK, REFUSED})
    latencies = [sample.latency for sample in due if sample.status != REFUSED]
    return Measures(
        offered=len(due) / window.seconds,
        sent=sum(window.holds(s.sent) for s in samples) / window.seconds,
        answered=len(done) / window.seconds,
        goodput=len(good) / window.seconds,
        refused=statuses[REFUSED] / window.seconds,
        failed=failed / window.seconds,
        lag_p99_ms=percentile([s.sent - s.intended for s in due], 99),
        p50_ms=percentile(latencies, 50),
        p95_ms=percentile(latencies, 95),
        p99_ms=percentile(latencies, 99),
        statuses=dict(sorted(statuses.items())),
    )


def percentile(seconds: Sequence[float], q: float) -> float | None:
    """The q-th percentile in milliseconds, between neighbours in proportion; None of nothing."""
    return float(np.percentile(seconds, q)) * 1e3 if seconds else None
