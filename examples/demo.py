"""The main job, end to end: serve, ingest a conversation, ask at three budgets, show the receipts.

`make demo` runs this. Everything is real: a gRPC server, its LLM backbones on a Triton that it
starts, a store on disk. Writes build/demo.json.
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
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from budgetmem.client import Client
from budgetmem.importers import jsonl
from budgetmem.modules import MODULES
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Budget

HERE = Path(__file__).parent
HISTORY = "demo"
PIPED_WIDTH = 140
"""Columns of the tables where no terminal says its own."""
READY = re.compile(r"ready on (?P<address>\S+) in (?P<seconds>\S+) s")


@dataclass(frozen=True)
class Row:
    """One question at one budget."""

    id: str
    question: str
    gold: list[str]
    tier: str
    memory: str
    answer: str
    tokens: int
    memory_words: int
    cost_usd: float
    milliseconds: float
    rungs: dict[str, str]
    fallbacks: dict[str, list[str]]


def main() -> None:
    """Runs the demonstration; exits non-zero if any part fails."""
    args = _arguments()
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    questions = _questions(args.questions)
    with tempfile.TemporaryDirectory(prefix="budgetmem-demo-") as folder:
        server = _server(args.profile, Path(folder))
        with server as (address, ready_seconds), Client(address) as client:
            console.print(f"service ready on {address} in {ready_seconds:.1f} s")
            report = client.ingest(HISTORY, jsonl.read(HERE / "conversation.jsonl")["conversation"])
            console.print(f"ingested {report.added} turns as {report.chunks} chunks")
            rows = _ask(client, questions, args.strategy, console)
    console.print(_table(rows))
    console.print(_totals(rows))
    _write(args.output, args.profile, args.strategy, ready_seconds, rows)
    console.print(f"wrote {args.output}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--profile", default="small")
    parser.add_argument("--strategy", default="implementation", choices=sorted(STRATEGIES))
    parser.add_argument("--questions", type=int, default=4, help="how many of the 20 to ask")
    parser.add_argument("--output", type=Path, default=Path("build/demo.json"))
    return parser.parse_args()


def _questions(count: int) -> list[dict[str, object]]:
    """A handful, of as many types as there are."""
    lines = (HERE / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    first_of_type = {q["type"]: q for q in reversed(questions)}
    rest = [q for q in questions if q not in first_of_type.values()]
    return [*reversed(first_of_type.values()), *rest][:count]


@contextlib.contextmanager
def _server(profile: str, folder: Path) -> Iterator[tuple[str, float]]:
    """A `budgetmem serve` of our own on a free port, stopped at the end."""
    command = [sys.executable, "-m", "server", "--profile", profile, "--port", "0"]
    command += ["--data-dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        ready = READY.match(process.stdout.readline() if process.stdout else "")
        if ready is None:
            raise SystemExit(f"the server ended with exit code {process.wait()}")
        yield ready["address"], float(ready["seconds"])
    finally:
        process.terminate()
        process.wait(timeout=60)


def _ask(
    client: Client, questions: Sequence[dict[str, object]], strategy: str, console: Console
) -> list[Row]:
    jobs = [(question, tier) for tier in Tier for question in questions]
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    pool = ThreadPoolExecutor(len(questions))
    with Progress(*columns, console=console) as progress, pool:
        bar = progress.add_task("asking", total=len(jobs))

        def ask(job: tuple[dict[str, object], Tier]) -> Row:
            row = _row(client, *job, strategy)
            progress.update(bar, advance=1, description=f"asked {row.id} at {row.tier}")
            return row

        rows = list(pool.map(ask, jobs))
    return sorted(rows, key=lambda row: (row.id, Tier[row.tier.upper()]))


def _row(client: Client, question: dict[str, object], tier: Tier, strategy: str) -> Row:
    budget = Budget(tiers=dict.fromkeys(MODULES, tier))
    answer = client.answer(HISTORY, str(question["question"]), strategy=strategy, budget=budget)
    total = answer.receipt.total
    return Row(
        id=str(question["id"]),
        question=str(question["question"]),
        gold=list(question["answers"]),  # type: ignore[call-overload]
        tier=tier.label,
        memory=answer.memory.text,
        answer=answer.text,
        tokens=total.input_tokens + total.output_tokens,
        memory_words=len(answer.memory.text.split()),
        cost_usd=total.cost_usd,
        milliseconds=total.milliseconds,
        rungs={step.module: step.rung for step in answer.receipt.steps},
        fallbacks={
            step.module: [f"{f.rung}: {f.reason}" for f in step.fallbacks]
            for step in answer.receipt.steps
            if step.fallbacks
        },
    )


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="One conversation, three budgets", show_lines=True)
    for name in ("question / gold", "tier", "memory", "answer"):
        table.add_column(name, overflow="fold")
    for name in ("tokens", "USD", "ms"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            f"{row.question}\n[green]{' | '.join(row.gold)}[/green]" if row.tier == "low" else "",
            row.tier,
            row.memory,
            f"[bold]{row.answer}[/bold]",
            f"{row.tokens}",
            f"{row.cost_usd:.6f}",
            f"{row.milliseconds:.0f}",
        )
    return table


def _totals(rows: Sequence[Row]) -> Table:
    table = Table(title="Means by tier")
    for name in ("tier", "tokens", "memory words", "USD", "ms"):
        table.add_column(name, justify="right")
    for tier in Tier:
        mine = [row for row in rows if row.tier == tier.label]
        table.add_row(
            tier.label,
            f"{sum(r.tokens for r in mine) / len(mine):.0f}",
            f"{sum(r.memory_words for r in mine) / len(mine):.0f}",
            f"{sum(r.cost_usd for r in mine) / len(mine):.6f}",
            f"{sum(r.milliseconds for r in mine) / len(mine):.0f}",
        )
    return table


def _write(
    path: Path, profile: str, strategy: str, ready_seconds: float, rows: Sequence[Row]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "profile": profile,
        "strategy": strategy,
        "ready_seconds": ready_seconds,
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
