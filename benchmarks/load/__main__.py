"""Open-loop load on a real server.

    python -m benchmarks.load --data locomo10.json --profile tiny --strategy capacity --tier low
    python -m benchmarks.load --data locomo10.json --scenario flood --repeats 5 --json

Arrivals are a seeded Poisson process, drawn beforehand; the generator is a process of its own and
takes a latency from when a question was due. Rates go from a quarter of the saturation, which a
short closed loop finds, to twice of it. `flood` measures what seven tenants keep of their rate when
an eighth offers four times the saturation. One JSON line a run; a second start with the same
options goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from benchmarks.load import generator, report, runs, target
from benchmarks.load.arrivals import poisson
from benchmarks.load.journal import Journal, Setting
from benchmarks.load.measures import Window, measure
from budgetmem.errors import BudgetMemError
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Turn
from training.datasets.locomo import LoCoMo
from training.reporting.code import code_hash

SPLIT = "train"
PAUSE_S = 1.0
NOT_SETTING = ("output", "json", "plot", "repeats", "slo_ms", "data_dir", "scenario", "rates")
"""Options that do not change what one run measures."""


@dataclass(frozen=True)
class Bench:
    """What every run needs: the options, what was run before, the generator's process."""

    args: argparse.Namespace
    journal: Journal
    process: Executor
    workload: generator.Workload
    console: Console

    def saturation(self) -> float:
        """Questions/s that are answered in a closed loop, as found now or before."""
        known = self.args.saturation or self.journal.saturation()
        if known is not None:
            return float(known)
        window = Window(self.args.warmup_s, self.args.warmup_s + self.args.calibrate_s)
        samples = self.process.submit(
            generator.saturate, self.workload, runs.tenants(1)[0], self.args.workers, window.end
        ).result()
        rate = measure(samples, window, self.args.timeout_s).answered
        if rate == 0:
            sys.exit("the closed loop had no answer in --calibrate-s: give it more time")
        self.console.print(f"saturation: {rate:.2f}/s with {self.args.workers} at a time")
        self.journal.keep_saturation(rate)
        return rate

    def run(self, run: runs.Run) -> None:
        """Makes one run, unless it is there already."""
        if run in [record.run for record in self.journal.records()]:
            return
        seconds = self.args.warmup_s + self.args.seconds
        seed = (self.args.seed, run.repeat)
        arrivals = poisson(run.offers, seconds, len(self.workload.questions), seed)
        self.console.print(
            f"{run.scenario} {run.label}, repeat {run.repeat}: {len(arrivals)} questions"
        )
        samples = self.process.submit(generator.offer, self.workload, arrivals).result()
        self.journal.keep(run, samples)
        time.sleep(PAUSE_S)


def main() -> None:
    """Runs what is missing and reports everything."""
    args = _arguments()
    console = Console(stderr=args.json)
    journal = Journal(args.output, _setting(args))
    questions, histories = _material(args)
    names = runs.tenants(runs.FLOOD_TENANTS if args.scenario == "flood" else args.tenants)
    with ExitStack() as stack:
        process = stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
        served = None
        if not args.url:
            served = stack.enter_context(target.serving(args.profile, args.data_dir))
        server = args.url if served is None else served.address
        console.print(f"ingesting {len(histories)} histories for {len(names)} tenants")
        asyncio.run(target.ingest(server, names, histories))
        workload = generator.Workload(
            server, questions, args.call, args.strategy, args.tier, args.timeout_s
        )
        bench = Bench(args, journal, process, workload, console)
        saturation = bench.saturation()
        for run in _plan(args, saturation, names):
            bench.run(run)
    _tell(args, journal, saturation, console)


def _setting(args: argparse.Namespace) -> Setting:
    chosen = {name: value for name, value in vars(args).items() if name not in NOT_SETTING}
    return {**chosen, "data": args.data.name, "split": SPLIT, "code": code_hash()}


def _material(
    args: argparse.Namespace,
) -> tuple[tuple[tuple[str, str], ...], dict[str, Sequence[Turn]]]:
    """Questions as pairs of history and text, and the turns by history."""
    dataset = LoCoMo(args.data)
    chosen = dataset.splits[SPLIT][: args.histories]
    histories = {name: turns for name, turns in dataset.histories().items() if name in chosen}
    asked = dataset.questions(SPLIT)
    return tuple((q.history, q.text) for q in asked if q.history in chosen), histories


def _plan(args: argparse.Namespace, saturation: float, names: list[str]) -> Iterator[runs.Run]:
    if args.scenario == "flood":
        return runs.flood(saturation, args.repeats)
    rates = args.rates or [factor * saturation for factor in runs.FACTORS]
    return runs.sweep(rates, names, args.repeats)


def _tell(args: argparse.Namespace, journal: Journal, saturation: float, console: Console) -> None:
    records = journal.records()
    window = Window(args.warmup_s, args.warmup_s + args.seconds)
    sweep = report.sweep_rows(records, window, args.slo_ms / 1e3)
    flood = report.flood_report(records, window, args.slo_ms / 1e3)
    if args.plot and sweep:
        from benchmarks.load.plot import plot_sweep  # noqa: PLC0415 - needs matplotlib

        plot_sweep(sweep, args.slo_ms, args.plot)
    if args.json:
        machine = records[-1].machine if records else None
        whole = {
            "machine": machine,
            "setting": journal.setting,
            "slo_ms": args.slo_ms,
            "saturation": saturation,
            "sweep": sweep,
            "flood": flood,
        }
        json.dump(whole, sys.stdout, indent=2)
        print()
        return
    if args.scenario == "sweep":
        console.print(report.sweep_table(sweep))
    elif flood:
        console.print(report.flood_table(flood))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="locomo10.json")
    add("--scenario", default="sweep", choices=["sweep", "flood"])
    add("--tenants", type=int, default=1, choices=[1, 8], help="of the sweep")
    add("--rates", type=float, nargs="+", help="questions/s, instead of shares of the saturation")
    add("--saturation", type=float, help="questions/s, instead of calibrating")
    add("--seconds", type=float, default=60, help="measured, of each run")
    add("--warmup-s", type=float, default=10)
    add("--calibrate-s", type=float, default=30)
    add("--workers", type=int, default=16, help="of the closed loop that calibrates")
    add("--repeats", type=int, default=5)
    add("--slo-ms", type=float, default=5000, help="goodput counts what is answered within it")
    add("--timeout-s", type=float, default=30, help="of each question, at the client")
    add("--seed", type=int, default=0)
    add("--call", default="extract", choices=["extract", "answer"])
    add("--profile", default="tiny", help="of the server that is started")
    add("--strategy", default="capacity", choices=sorted(STRATEGIES))
    add("--tier", default="low", choices=[tier.label for tier in Tier])
    add("--histories", type=int, default=6, help="conversations of the train split")
    add("--url", help="HOST:PORT of a server that runs, instead of starting one")
    add("--data-dir", type=Path, default=Path("build/load-store"))
    add("--output", type=Path, default=Path("build/load.jsonl"))
    add("--plot", type=Path, help="write a picture of the sweep, for example load.png")
    add("--json", action="store_true", help="print the report as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except BudgetMemError as exc:
        sys.exit(f"error: {exc}")
