"""Throughput of the real service under different ways of making its model calls.

    python -m benchmarks.throughput --data locomo10.json --workload shared
    python -m benchmarks.throughput --data locomo10.json --loop open --rate 1.5 --slo-ms 5000

One Triton, one gRPC server and one set of weights; a row exchanges what lies between the pipeline
and Triton. The client shares the server's process. Every (row, repeat) has a salt at the beginning
of its prompts, so that none profits from what the engine remembers of another; rows are shuffled
within a repeat; a repeat has the same questions for every row. A warm-up goes first and is thrown
away.

Each (row, repeat) is a JSON line in --output as soon as it is done; a second start with the same
options goes on where the first stopped, with models that are started anew (this is noted).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.machine import describe
from benchmarks.throughput import report
from benchmarks.throughput.results import Journal, Offered
from benchmarks.throughput.rows import ABOUT, CEILING, OURS
from benchmarks.throughput.runs import Bench, Plan, check_ceiling
from benchmarks.throughput.service import Service
from benchmarks.throughput.workloads import WORKLOADS, Workload
from budgetmem.config import Profile, load_profile
from budgetmem.errors import BudgetMemError, InvalidInput
from budgetmem.types import Turn
from server.serving import check_assets, connected
from training.datasets.base import Question
from training.datasets.locomo import SPLITS, LoCoMo
from training.reporting.code import code_hash

SPLIT = "train"
CLOSED, OPEN = "closed", "open"


@dataclass(frozen=True)
class Material:
    """What is asked, and the turns of the histories that it is asked of, by name."""

    questions: Sequence[Question]
    turns: Mapping[str, Sequence[Turn]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what is missing and reports everything."""
    parser = _parser()
    args = parser.parse_args(arguments)
    workload = WORKLOADS[args.workload]
    _complete(parser, args, workload)
    try:
        journal = asyncio.run(_run(args, workload))
    except BudgetMemError as exc:
        sys.exit(f"error: {exc}")
    offered = Offered(args.queries, args.slo_ms, args.rate)
    _tell(args, workload, report.document(journal, offered, _plain(vars(args))))


async def _run(args: argparse.Namespace, workload: Workload) -> Journal:
    """The journal, after what it lacked was measured; models are started only for that."""
    profile = load_profile(args.profile)
    check_assets(profile, embedded=args.triton_url is None)
    if CEILING in args.rows:
        check_ceiling(profile)
    dataset = LoCoMo(args.data)
    chosen = dataset.splits[SPLIT][: args.conversations]
    asked = [each for each in dataset.questions(SPLIT) if each.history in chosen]
    plan = Plan(
        rows=args.rows,
        repeats=args.repeats,
        queries=args.queries,
        warm_up=args.warm_up,
        concurrency=args.concurrency,
        seed=args.seed,
        rate=args.rate,
    )
    if (most := max(plan.queries, plan.warm_up)) > len(asked):
        raise InvalidInput("queries", f"{most} of only {len(asked)}: take more --conversations")
    journal = Journal(args.output, _setting(args))
    if plan.missing(journal.cells()):
        turns = {name: turns for name, turns in dataset.histories().items() if name in chosen}
        material = Material(asked, turns)
        await _measure(
            args, workload, profile=profile, material=material, plan=plan, journal=journal
        )
    return journal


async def _measure(
    args: argparse.Namespace,
    workload: Workload,
    *,
    profile: Profile,
    material: Material,
    plan: Plan,
    journal: Journal,
) -> None:
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    async with (
        connected(profile, args.triton_url, show_progress=True) as (models, _),
        Service.opened(profile, models, workload, args.data_dir, args.timeout_s) as service,
    ):
        journal.begin(f"{models.server.name} {models.server.version}", describe())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task("ingesting", total=None)
            await service.ingest(material.turns)

            def tell(what: str) -> None:
                progress.reset(bar, description=what, total=None)
                if not progress.console.is_terminal:
                    progress.console.print(what)

            def tick() -> None:
                progress.advance(bar)

            await Bench(plan, service, material.questions, journal, tell, tick).run()


def _tell(args: argparse.Namespace, workload: Workload, whole: dict[str, Any]) -> None:
    console = Console()
    for table in report.tables(whole):
        console.print(table)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    if args.plot:
        from benchmarks.throughput.plot import plot_rows  # noqa: PLC0415 - needs matplotlib

        plot_rows(whole["rows"], f"{workload.name}, profile {args.profile}", args.plot)


def _setting(args: argparse.Namespace) -> dict[str, Any]:
    """What changes the figures of a cell."""
    names = ("workload", "profile", "loop", "rate", "queries", "concurrency", "seed")
    chosen = {name: getattr(args, name) for name in (*names, "conversations", "timeout_s")}
    return {**chosen, "data": args.data.name, "split": SPLIT, "code": code_hash()}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}


def _complete(
    parser: argparse.ArgumentParser, args: argparse.Namespace, workload: Workload
) -> None:
    """Defaults that depend on the workload; ends the program for options that do not fit."""
    args.rows = tuple(dict.fromkeys(args.rows or workload.rows))
    args.profile = args.profile or workload.profile
    args.concurrency = args.concurrency or workload.concurrency
    args.output = args.output or Path(f"build/throughput-{workload.name}.jsonl")
    if (args.loop == OPEN) != (args.rate is not None):
        parser.error("--rate and --loop open go together")
    if args.rate is not None and args.rate <= 0:
        parser.error(f"--rate {args.rate} is not above 0")
    if args.warm_up < 0:
        parser.error(f"--warm-up {args.warm_up} is below 0")
    if CEILING in args.rows and CEILING not in workload.rows:
        parser.error(f"{CEILING}: the workload {workload.name} makes no LLM calls")
    if CEILING in args.rows and OURS not in args.rows:
        parser.error(f"{CEILING} needs the row {OURS}: it runs its prompts")


def _parser() -> argparse.ArgumentParser:
    lines = ["rows:", *(f"  {name}: {about}" for name, about in ABOUT.items()), "", "workloads:"]
    lines += [f"  {w.name}: {w.about} (profile {w.profile})" for w in WORKLOADS.values()]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description=__doc__,
        epilog="\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="locomo10.json")
    add("--workload", default="shared", choices=list(WORKLOADS))
    add("--rows", nargs="+", choices=list(ABOUT), metavar="ROW", help="default: the workload's")
    add("--repeats", type=_positive, default=5)
    add("--queries", type=_positive, default=64, help="of each row in each repeat")
    add("--warm-up", type=int, default=32, help="queries that go first and do not count")
    add("--concurrency", type=_positive, help="of the closed loop; default: the workload's")
    add("--loop", default=CLOSED, choices=[CLOSED, OPEN])
    add("--rate", type=float, help="queries/s of the open loop, in the mean (Poisson)")
    add("--slo-ms", type=float, default=5000, help="goodput of the open loop: answers within it")
    add("--timeout-s", type=float, default=600, help="of each query, at the client")
    add("--seed", type=int, default=0)
    add("--conversations", type=int, default=2, choices=range(1, len(SPLITS[SPLIT]) + 1))
    add("--profile", help="default: the workload's")
    add("--triton-url", metavar="HOST:PORT", help="use this Triton instead of an embedded one")
    add("--data-dir", type=Path, default=Path("build/throughput-store"))
    add("--output", type=Path, help="default: build/throughput-WORKLOAD.jsonl")
    add("--json", type=Path, metavar="FILE", help="write everything there as JSON")
    add("--plot", type=Path, metavar="FILE", help="write a picture, for example rows.svg")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


if __name__ == "__main__":
    main()
