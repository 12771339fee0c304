"""What is told of the runs: means over repeats with intervals, and what a flood leaves."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any

from rich.table import Table

from benchmarks.load.journal import Record
from benchmarks.load.measures import Measures, Sample, Window, measure
from benchmarks.load.runs import ALONE, FLOODED, quiet_tenants
from training.statistics import of_repeats

FLOODING = "flooding tenant"
Samples = Sequence[Sample]
FIGURES = tuple(field.name for field in fields(Measures) if field.name != "statuses")
SHOWN = ("offered", "answered", "goodput", "refused", "failed", "p50_ms", "p95_ms", "p99_ms")


def row(runs: Sequence[Samples], window: Window, slo_s: float) -> dict[str, Any]:
    """Each figure's mean over the runs with its interval, and all statuses together."""
    measures = [measure(samples, window, slo_s) for samples in runs]
    means: dict[str, Any] = {}
    for figure in FIGURES:
        values = [value for each in measures if (value := getattr(each, figure)) is not None]
        means[figure] = of_repeats(values).report() if values else None
    statuses: Counter[str] = Counter()
    for each in measures:
        statuses.update(each.statuses)
    return {**means, "statuses": dict(sorted(statuses.items()))}


def kept(
    alone: Sequence[Samples], flooded: Sequence[Samples], window: Window, slo_s: float
) -> dict[str, Any]:
    """What is left of the rates alone beside a flood: quotients of paired runs."""
    pairs = [
        (measure(before, window, slo_s), measure(after, window, slo_s))
        for before, after in zip(alone, flooded, strict=True)
    ]
    shares = {
        "answered": [
            after.answered / before.answered for before, after in pairs if before.answered
        ],
        "goodput": [after.goodput / before.goodput for before, after in pairs if before.goodput],
    }
    return {
        figure: of_repeats(values).report() if values else None for figure, values in shares.items()
    }


def of(tenants: Collection[str], runs: Sequence[Samples]) -> list[Samples]:
    """The samples of these tenants only."""
    return [[sample for sample in samples if sample.tenant in tenants] for samples in runs]


def sweep_rows(records: Iterable[Record], window: Window, slo_s: float) -> list[dict[str, Any]]:
    """A row a rate, slowest first."""
    by_label: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.run.scenario == "sweep":
            by_label[record.run.label].append(record)
    rows = [
        {
            "label": label,
            "rate": sum(runs[0].run.offers.values()),
            **row([record.samples for record in runs], window, slo_s),
        }
        for label, runs in by_label.items()
    ]
    return sorted(rows, key=lambda row: float(row["rate"]))


def flood_report(records: Iterable[Record], window: Window, slo_s: float) -> dict[str, Any]:
    """The quiet tenants alone and beside the flood, and what they keep of their rates.

    Empty unless there is a repeat with both runs.
    """
    runs = {(r.run.label, r.run.repeat): r.samples for r in records if r.run.scenario == "flood"}
    repeats = [repeat for label, repeat in runs if label == ALONE and (FLOODED, repeat) in runs]
    if not repeats:
        return {}
    quiet = quiet_tenants()
    everyone = [runs[FLOODED, repeat] for repeat in repeats]
    alone = of(quiet, [runs[ALONE, repeat] for repeat in repeats])
    flooded = of(quiet, everyone)
    loud = {sample.tenant for samples in everyone for sample in samples} - quiet
    return {
        ALONE: row(alone, window, slo_s),
        FLOODED: row(flooded, window, slo_s),
        FLOODING: row(of(loud, everyone), window, slo_s),
        "kept": kept(alone, flooded, window, slo_s),
    }


def sweep_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The rows for people."""
    table = Table(title="Open loop, by rate (questions/s; mean [95% interval] over repeats)")
    for name in ("rate", *SHOWN):
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(row["label"], *(cell(row[figure]) for figure in SHOWN))
    return table


def flood_table(report: dict[str, Any]) -> Table:
    """The flood for people."""
    table = Table(title="Seven tenants beside one that floods (questions/s)")
    for name in ("", *SHOWN):
        table.add_column(name.replace("_", " "), justify="right")
    for label in (ALONE, FLOODED, FLOODING):
        table.add_row(label, *(cell(report[label][figure]) for figure in SHOWN))
    share = report["kept"]
    table.add_row("kept", *(cell(share[name]) if name in share else "" for name in SHOWN))
    return table


def cell(mean: dict[str, Any] | None) -> str:
    """A mean above its interval."""
    if mean is None:
        return "-"
    middle, low, high = (_short(mean[name]) for name in ("mean", "low", "high"))
    return f"{middle}\n[{low}, {high}]"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
