"""The main job, end to end: serve, ingest a conversation, ask within budgets, show the receipts.

`make demo` runs this. Everything is real: a gRPC server, its LLM backbones on a Triton that it
starts, a store on disk. Each question is asked with every module pinned to Low, Mid and High; where
the profile has a trained router, the first question only, and all of them at three cost weights
(lambda), by which the router chooses. Writes build/demo.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from budgetmem.client import Client
from budgetmem.importers import jsonl
from budgetmem.info import ServerInfo
from budgetmem.modules import MODULES
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Budget
from examples.demo_report import Question, Row, row_of, show, write

HERE = Path(__file__).parent
HISTORY = "demo"
PIPED_WIDTH = 140
"""Columns of the tables where no terminal says its own."""
AT_ONCE = 4
"""Questions that are asked side by side."""
READY = re.compile(r"ready on (?P<address>\S+) in (?P<seconds>\S+) s")


@dataclass(frozen=True)
class Job:
    """A question to ask: with all modules pinned to `tier`, or at a cost weight."""

    question: Question
    tier: Tier | None = None
    cost_weight: float | None = None

    @property
    def budget(self) -> Budget:
        """What the request is granted."""
        if self.tier is not None:
            return Budget(tiers=dict.fromkeys(MODULES, self.tier))
        return Budget(cost_weight=self.cost_weight or 0.0)


def main() -> None:
    """Runs the demonstration; exits non-zero if any part fails."""
    args = _arguments()
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    questions = read_questions(args.questions)
    with tempfile.TemporaryDirectory(prefix="budgetmem-demo-") as folder:
        server = _server(args.profile, args.router, Path(folder))
        with server as (address, ready_seconds), Client(address) as client:
            console.print(f"service ready on {address} in {ready_seconds:.1f} s")
            report = client.ingest(HISTORY, jsonl.read(HERE / "conversation.jsonl")["conversation"])
            console.print(f"ingested {report.added} turns as {report.chunks} chunks")
            info = client.info()
            strategy = choose_strategy(args.strategy, info)
            weights = cost_weights(args.cost_weights, info, strategy)
            rows = ask(client, plan(questions, weights), strategy, console)
    show(console, info, strategy, rows)
    write(args.output, info, strategy, ready_seconds, rows)
    console.print(f"wrote {args.output}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--profile", default="small")
    parser.add_argument(
        "--strategy",
        choices=sorted(STRATEGIES),
        help="default: the first that has a trained router, or else the first",
    )
    parser.add_argument(
        "--router",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a trained router, as for `budgetmem serve`",
    )
    parser.add_argument(
        "--cost-weights",
        type=float,
        nargs="+",
        default=[0.0, 0.3, 0.9],
        metavar="LAMBDA",
        help="what a trained router is asked at",
    )
    parser.add_argument("--questions", type=int, default=3, help="how many of the 20 to ask")
    parser.add_argument("--output", type=Path, default=Path("build/demo.json"))
    return parser.parse_args()


def read_questions(count: int) -> list[Question]:
    """A handful, of as many types as there are."""
    lines = (HERE / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [Question(**json.loads(line)) for line in lines]
    first_of_type = {q.type: q for q in reversed(questions)}
    rest = [q for q in questions if q not in first_of_type.values()]
    return [*reversed(first_of_type.values()), *rest][:count]


def trained_strategies(info: ServerInfo) -> list[str]:
    """The strategies for which the server has a trained router."""
    return [name for name in STRATEGIES if info.routers.get(name, info.router) != info.router]


def choose_strategy(wanted: str | None, info: ServerInfo) -> str:
    """The wanted one, else the first that has a trained router, else the first."""
    return wanted or [*trained_strategies(info), *STRATEGIES][0]


def cost_weights(wanted: Sequence[float], info: ServerInfo, strategy: str) -> list[float]:
    """Those wanted that the strategy's router takes, or the ends of its range; none without one."""
    if strategy not in trained_strategies(info):
        return []
    known = info.cost_weights[strategy]
    inside = [weight for weight in wanted if known.min <= weight <= known.max]
    return inside or sorted({known.min, known.max})


def plan(questions: Sequence[Question], cost_weights: Sequence[float]) -> list[Job]:
    """What is asked: about three jobs a question, so that lambda takes the time that pins took."""
    pinned = questions[:1] if cost_weights else questions
    return [
        *(Job(question, tier=tier) for tier in Tier for question in pinned),
        *(Job(question, cost_weight=weight) for weight in cost_weights for question in questions),
    ]


@contextlib.contextmanager
def _server(profile: str, routers: Sequence[Path], folder: Path) -> Iterator[tuple[str, float]]:
    """A `budgetmem serve` of our own on a free port, stopped at the end."""
    command = [sys.executable, "-m", "server", "--profile", profile, "--port", "0"]
    command += ["--data-dir", str(folder)]
    for router in routers:
        command += ["--router", str(router)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        ready = READY.match(process.stdout.readline() if process.stdout else "")
        if ready is None:
            raise SystemExit(f"the server ended with exit code {process.wait()}")
        yield ready["address"], float(ready["seconds"])
    finally:
        process.terminate()
        process.wait(timeout=60)


def ask(client: Client, jobs: Sequence[Job], strategy: str, console: Console) -> list[Row]:
    """Asks some jobs at once, and returns their rows in the order of the jobs."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    pool = ThreadPoolExecutor(AT_ONCE)
    with Progress(*columns, console=console) as progress, pool:
        bar = progress.add_task("asking", total=len(jobs))

        def answer(job: Job) -> Row:
            text = job.question.question
            found = client.answer(HISTORY, text, strategy=strategy, budget=job.budget)
            row = row_of(job.question, job.tier, job.cost_weight, found)
            progress.update(bar, advance=1, description=f"asked {row.id} at {row.budget}")
            return row

        return list(pool.map(answer, jobs))


if __name__ == "__main__":
    main()
