"""SIMULATION of the scheduler over modelled backbones, in virtual time.

    python -m benchmarks.simulation --model cpu --instances 1 2
    python -m benchmarks.simulation --instances 1 4 16 --rates 10 100 1000 10000 --json

The decisions are those of the real core; the backbones are formulas (benchmarks/simulation/
parameters.py), so the figures compare ways to schedule and are no measurement of a machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.load.measures import Window
from benchmarks.load.report import cell
from benchmarks.load.runs import ALONE, FACTORS, FLOODED
from benchmarks.machine import describe
from benchmarks.simulation.experiments import Experiment, saturation_of
from benchmarks.simulation.parameters import ARMS, MODELS, QUERY, Setup, ceiling
from benchmarks.simulation.simulator import OpenCore
from budgetmem.errors import BudgetMemError
from budgetmem.scheduling import reference

LABEL = "SIMULATION: modelled backbones, virtual time, no measurement"


def main() -> None:
    """Runs every experiment and reports it."""
    args = _arguments()
    console = Console(stderr=args.json)
    setup = Setup(MODELS[args.model], 1, timeout_s=args.timeout_s, slo_s=args.slo_ms / 1e3)
    window = Window(args.warmup_s, args.warmup_s + args.seconds)
    parameters = {
        "name": args.model,
        **asdict(setup),
        "instances": args.instances,
        "query": [[asdict(call) for call in stage] for stage in QUERY],
        "arms": [asdict(arm) for arm in ARMS],
        "window": asdict(window),
        "seed": args.seed,
        "repeats": args.repeats,
        "core": args.core,
    }
    console.print(f"[bold]{LABEL}[/]")
    console.print_json(json.dumps(parameters))
    sweep: list[dict[str, Any]] = []
    flood: list[dict[str, Any]] = []
    for instances in args.instances:
        experiment = Experiment(
            replace(setup, instances=instances), window, args.seed, args.repeats, _core(args.core)
        )
        rates = args.rates or [factor * instances * ceiling(setup.model) for factor in FACTORS]
        rows = experiment.sweep(rates)
        sweep.extend(rows)
        console.print(_sweep_table(rows))
        flood.extend(experiment.flood(saturation_of(rows)))
        console.print(_flood_table(flood[-len(ARMS) :]))
    whole = {
        "label": LABEL,
        "machine": describe(),
        "parameters": parameters,
        "sweep": sweep,
        "flood": flood,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    if args.plot:
        from benchmarks.simulation.plot import plot_sweep  # noqa: PLC0415 - needs matplotlib

        plot_sweep(sweep, LABEL, args.plot)
    if args.json:
        json.dump(whole, sys.stdout, indent=2)
        print()


def _core(name: str) -> OpenCore:
    if name == "reference":
        return reference.Core
    from budgetmem._core import Core  # noqa: PLC0415 - the reference needs no compiler

    return Core


def _sweep_table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=f"SIMULATION, {rows[0]['instances']} instances (queries/s, ms)")
    figures = ("offered", "answered", "goodput", "refused", "failed", "p50_ms", "p99_ms")
    for name in ("arm", *figures):
        table.add_column(name.replace("_", " "), justify="left" if name == "arm" else "right")
    for row in rows:
        table.add_row(row["arm"], *(cell(row[figure]) for figure in figures))
    return table


def _flood_table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="SIMULATION, seven tenants beside one that floods (queries/s)")
    for name in ("arm", "alone", "flooded", "rate kept", "goodput kept", "p99 ms flooded"):
        table.add_column(name, justify="left" if name == "arm" else "right")
    for row in rows:
        table.add_row(
            row["arm"],
            cell(row[ALONE]["answered"]),
            cell(row[FLOODED]["answered"]),
            cell(row["kept"]["answered"]),
            cell(row["kept"]["goodput"]),
            cell(row[FLOODED]["p99_ms"]),
        )
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--model", default="accelerator", choices=sorted(MODELS))
    add("--instances", type=int, nargs="+", default=[1, 4, 16], help="1 to 16")
    add("--rates", type=float, nargs="+", help="queries/s, instead of shares of the ceiling")
    add("--seconds", type=float, default=60, help="simulated and measured")
    add("--warmup-s", type=float, default=30)
    add("--repeats", type=int, default=3)
    add("--slo-ms", type=float, default=5000, help="goodput counts what is answered within it")
    add("--timeout-s", type=float, default=30, help="the deadline of each query")
    add("--seed", type=int, default=0)
    add("--core", default="cpp", choices=["cpp", "reference"])
    add("--output", type=Path, default=Path("build/simulation.json"))
    add("--plot", type=Path, help="write a picture, for example build/simulation.png")
    add("--json", action="store_true", help="print the report as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except BudgetMemError as exc:
        sys.exit(f"error: {exc}")
