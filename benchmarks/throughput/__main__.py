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
from collections.abc import Sequence
from datetime import datetime, timezone
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
from budgetmem.config import load_profile
from budgetmem.errors import BudgetMemError
from server.serving import check_assets, connected
from training.datasets.locomo import SPLITS, LoCoMo

SPLIT = "train"
CLOSED, OPEN = "closed", "open"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what is missing and reports everything."""
    parser = _parser()
    args = parser.parse_args(arguments)
    workload = WORKLOADS[args.workload]
    _complete(parser, args, workload)
    try:
        whole = asyncio.run(_run(args, workload))
    except BudgetMemError as exc:
        sys.exit(f"error: {exc}")
    _tell(args, workload, whole)


async def _run(args: argparse.Namespace, workload: Workload) -> dict[str, Any]:
    profile = load_profile(args.profile)
    check_assets(profile, embedded=args.triton_url is None)
    if CEILING in args.rows:
        check_ceiling(profile)
    dataset = LoCoMo(args.data)
    chosen = dataset.splits[SPLIT][: args.conversations]
    questions = [each for each in dataset.questions(SPLIT) if each.history in chosen]
    plan = Plan(
        rows=tuple(args.rows),
        repeats=args.repeats,
        queries=args.queries,
        warm_up=args.warm_up,
        concurrency=args.concurrency,
        seed=args.seed,
        rate=args.rate,
    )
    workload.queries(questions, max(plan.queries, plan.warm_up), plan.seed, 0)  # enough of them?
    async with connected(profile, args.triton_url, show_progress=True) as (models, _):
        context = {
            "start": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "triton": f"{models.server.name} {models.server.version}",
            "machine": describe(),
        }
        journal = Journal(args.output, _setting(args), context)
        async with Service.opened(
            profile, models, workload, args.data_dir, args.timeout_s
        ) as service:
            with _progress() as progress:
                bar = progress.add_task("ingesting", total=None)
                histories = dataset.histories()
                await service.ingest({name: histories[name] for name in chosen})

                def tell(what: str) -> None:
                    progress.reset(bar, description=what, total=None)
                    if not progress.console.is_terminal:
                        progress.console.print(what)

                bench = Bench(
                    plan, service, questions, journal, tell, lambda: progress.advance(bar)
                )
                await bench.run()
    return report.document(journal, _offered(args), _plain(vars(args)))


def _tell(args: argparse.Namespace, workload: Workload, whole: dict[str, Any]) -> None:
    console = Console()
    for table in report.tables(whole):
        console.print(table)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    if args.plot:
        from benchmarks.throughput.plot import plot_rows  # noqa: PLC0415 - needs matplotlib

        plot_rows(whole["rows"], f"{workload.name}: {workload.about}", args.plot)


def _setting(args: argparse.Namespace) -> dict[str, Any]:
    """What changes the figures of a cell."""
    names = ("workload", "profile", "loop", "rate", "queries", "concurrency", "seed")
    chosen = {name: getattr(args, name) for name in (*names, "conversations", "timeout_s")}
    return {**chosen, "data": args.data.name, "split": SPLIT}


def _offered(args: argparse.Namespace) -> Offered:
    return Offered(args.queries, args.slo_ms, args.rate)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


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
