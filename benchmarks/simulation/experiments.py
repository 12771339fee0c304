"""The simulated experiments: rates past the knee, and one tenant of eight that floods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.load import report, runs
from benchmarks.load.arrivals import poisson
from benchmarks.load.measures import Sample, Window
from benchmarks.simulation.parameters import ARMS, Arm, Setup
from benchmarks.simulation.simulator import OpenCore, simulate


@dataclass(frozen=True)
class Experiment:
    """What the runs of one setup share. Times are simulated seconds."""

    setup: Setup
    window: Window
    seed: int
    repeats: int
    open_core: OpenCore

    def sweep(self, rates: Sequence[float]) -> list[dict[str, Any]]:
        """A row for each rate and arm; rates are queries/s of eight tenants together."""
        rows = []
        planned = list(runs.sweep(rates, runs.tenants(runs.FLOOD_TENANTS), self.repeats))
        for arm in ARMS:
            for label in dict.fromkeys(run.label for run in planned):
                chosen = [run for run in planned if run.label == label]
                row = self._row([self._run(arm, run) for run in chosen])
                rate = sum(chosen[0].offers.values())
                rows.append({**self._where(arm), "rate": rate, **row})
        return rows

    def flood(self, saturation: float) -> list[dict[str, Any]]:
        """A row an arm: the seven quiet tenants alone, beside the flood, and what they keep."""
        planned = list(runs.flood(saturation, self.repeats))
        quiet = runs.quiet_tenants()
        rows = []
        for arm in ARMS:
            alone, flooded = (
                report.of(quiet, [self._run(arm, run) for run in planned if run.label == label])
                for label in (runs.ALONE, runs.FLOODED)
            )
            rows.append(
                {
                    **self._where(arm),
                    "saturation": saturation,
                    runs.ALONE: self._row(alone),
                    runs.FLOODED: self._row(flooded),
                    "kept": report.kept(alone, flooded, self.window, self.setup.slo_s),
                }
            )
        return rows

    def _where(self, arm: Arm) -> dict[str, Any]:
        return {"instances": self.setup.instances, "arm": arm.name}

    def _row(self, samples: Sequence[Sequence[Sample]]) -> dict[str, Any]:
        return report.row(samples, self.window, self.setup.slo_s)

    def _run(self, arm: Arm, run: runs.Run) -> list[Sample]:
        arrivals = poisson(run.offers, self.window.end, 1, (self.seed, run.repeat))
        return simulate(self.setup, arm, arrivals, self.open_core)


def saturation_of(rows: Sequence[dict[str, Any]]) -> float:
    """The most queries/s that the first arm answered at any rate of a sweep."""
    return max(float(row["answered"]["mean"]) for row in rows if row["arm"] == ARMS[0].name)
