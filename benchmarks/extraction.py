"""Extracted memory against plain retrieval: same questions, same chunks, same answerer.

    python -m benchmarks.extraction --data locomo10.json --strategy capacity --tier high

Every question is answered twice: from the extracted memory, and from all retrieved chunks as they
are. Reports token F1 and what the answerer reads, with bootstrap intervals over questions. One
JSON line a question; a second run goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from budgetmem.backbone import Models
from budgetmem.config import Profile, load_profile
from budgetmem.ledger import Ledger
from budgetmem.modules import MODULES
from budgetmem.pipeline import Event, ExtractRequest, RetrievedEvent
from budgetmem.prices import PriceBook
from budgetmem.prompting import answer_prompt, plain_memory
from budgetmem.rungs import Rungs
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Budget, Chunk, Usage, Workspace
from server.assembly import build_engine
from server.engine import Engine
from server.serving import loaded
from training.datasets.base import Question
from training.datasets.locomo import LoCoMo
from training.datasets.sampling import sample
from training.statistics import Mean, bootstrap

TENANT = "benchmark"


@dataclass(frozen=True)
class Arm:
    """One way of answering: the answer, its score, and what the answerer read."""

    answer: str
    f1: float
    prompt_tokens: int


@dataclass(frozen=True)
class Result:
    """One question, answered both ways. `extraction` covers all calls before the answer."""

    id: str
    category: str
    question: str
    gold: str
    extracted: Arm
    plain: Arm
    extraction_usd: float
    extraction_tokens: int
    milliseconds: float
    rungs: dict[str, str]
    fallbacks: dict[str, list[str]]
    memory: str


def main() -> None:
    """Runs the comparison and prints it."""
    args = _arguments()
    console = Console(stderr=args.json)
    profile = load_profile(args.profile)
    dataset = LoCoMo(args.data)
    questions = sample(dataset.questions(args.split), args.questions, args.seed)
    asyncio.run(_answer_all(args, profile, dataset, questions))
    chosen = {question.id for question in questions}
    results = [result for result in read(args.output) if result.id in chosen]
    if args.json:
        json.dump(summary(results), sys.stdout, indent=2)
        print()
    else:
        console.print(_table(results))


def read(path: Path) -> list[Result]:
    """The results so far."""
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Result(**{**row, "extracted": Arm(**row["extracted"]), "plain": Arm(**row["plain"])})
        for row in rows
    ]


def summary(results: Sequence[Result]) -> dict[str, dict[str, dict[str, Any]]]:
    """Means over all questions and by category, with intervals."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups["all"].append(result)
        groups[result.category].append(result)
    return {name: _group(group) for name, group in groups.items()}


def _group(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    columns: dict[str, list[float]] = {
        "f1_extracted": [r.extracted.f1 for r in results],
        "f1_plain": [r.plain.f1 for r in results],
        "f1_difference": [r.extracted.f1 - r.plain.f1 for r in results],
        "prompt_tokens_extracted": [r.extracted.prompt_tokens for r in results],
        "prompt_tokens_plain": [r.plain.prompt_tokens for r in results],
        "extraction_tokens": [r.extraction_tokens for r in results],
        "extraction_usd": [r.extraction_usd for r in results],
        "fallbacks": [len(r.fallbacks) for r in results],
    }
    return {name: bootstrap(values).report() for name, values in columns.items()}


async def _answer_all(
    args: argparse.Namespace, profile: Profile, dataset: LoCoMo, questions: Sequence[Question]
) -> None:
    done = {result.id for result in read(args.output)}
    todo = [question for question in questions if question.id not in done]
    if not todo:
        return
    args.output.parent.mkdir(parents=True, exist_ok=True)
    slots = asyncio.Semaphore(args.concurrency)
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
    async with loaded(profile, args.triton_url, show_progress=True) as (models, _):
        bench = Bench(profile, models, build_engine(profile, models, args.data_dir), dataset)
        for history, turns in dataset.histories().items():
            if history in {question.history for question in todo}:
                await bench.engine.histories.ingest(TENANT, history, turns)
        with (
            Progress(*columns, console=Console(stderr=True)) as progress,
            args.output.open("a", encoding="utf-8") as file,
        ):
            bar = progress.add_task("questions", total=len(todo))

            async def run(question: Question) -> None:
                async with slots:
                    result = await bench.both(question, args)
                file.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
                file.flush()
                progress.advance(bar)

            await asyncio.gather(*(run(question) for question in todo))


@dataclass(frozen=True)
class Bench:
    """What both arms share."""

    profile: Profile
    models: Models
    engine: Engine
    dataset: LoCoMo

    async def both(self, question: Question, args: argparse.Namespace) -> Result:
        """Answers from the extracted memory, then from the chunks that it was extracted from."""
        retrieved: list[Chunk] = []

        def observe(event: Event) -> None:
            if isinstance(event, RetrievedEvent):
                retrieved.extend(event.chunks)

        budget = Budget(tiers=dict.fromkeys(MODULES, Tier[args.tier.upper()]))
        request = ExtractRequest(
            TENANT, question.history, question.text, args.strategy, budget, args.max_tokens
        )
        answer = await self.engine.pipeline.answer(request, observe)
        plain_text, plain_usage = await self._plain(question, retrieved)
        extraction = answer.memory.receipt.total
        return Result(
            id=question.id,
            category=question.category,
            question=question.text,
            gold=question.gold,
            extracted=self._arm(question, answer.text, answer.receipt.answer),
            plain=self._arm(question, plain_text, plain_usage),
            extraction_usd=extraction.cost_usd,
            extraction_tokens=extraction.input_tokens + extraction.output_tokens,
            milliseconds=answer.receipt.total.milliseconds,
            rungs={step.module: step.rung for step in answer.receipt.steps},
            fallbacks={
                step.module: [f"{f.rung}: {f.reason}" for f in step.fallbacks]
                for step in answer.receipt.steps
                if step.fallbacks
            },
            memory=answer.memory.text,
        )

    async def _plain(self, question: Question, chunks: Sequence[Chunk]) -> tuple[str, Usage]:
        rungs = Rungs(self.profile, self.models, PriceBook.of(self.profile), TENANT)
        work = Workspace.start(question.text, tuple(chunks))
        return await rungs.answer(answer_prompt(plain_memory(chunks), work), Ledger(Budget()))

    def _arm(self, question: Question, text: str, usage: Usage | None) -> Arm:
        read = usage.input_tokens if usage else 0
        return Arm(text, self.dataset.score(question, text), read)


def _table(results: Sequence[Result]) -> Table:
    table = Table(title="Extracted memory against plain retrieval (mean [95% interval])")
    names = [
        "f1_extracted",
        "f1_plain",
        "f1_difference",
        "prompt_tokens_extracted",
        "prompt_tokens_plain",
    ]
    table.add_column("questions")
    for name in ("n", *names):
        table.add_column(name.replace("_", " "), justify="right")
    for group, columns in summary(results).items():
        means = {name: Mean(**columns[name]) for name in names}
        table.add_row(group, str(means["f1_plain"].n), *(str(mean) for mean in means.values()))
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="locomo10.json")
    parser.add_argument("--split", default="test", choices=["train", "validation", "test"])
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", default="small")
    parser.add_argument("--strategy", default="capacity", choices=sorted(STRATEGIES))
    parser.add_argument("--tier", default="high", choices=[tier.label for tier in Tier])
    parser.add_argument("--max-tokens", type=int, help="retrieval budget, default: the profile's")
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--triton-url", help="use this Triton instead of an embedded one")
    parser.add_argument("--data-dir", type=Path, default=Path("build/extraction-store"))
    parser.add_argument("--output", type=Path, default=Path("build/extraction.jsonl"))
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
