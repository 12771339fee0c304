"""What the demonstration asks, at which budgets, and by which strategy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from budgetmem.client import Client
from budgetmem.info import ServerInfo
from budgetmem.modules import MODULES
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Budget
from server.demo.report import Question, Row, row_of

QUESTIONS = Path(__file__).with_name("questions.jsonl")
HISTORY = "demo"
AT_ONCE = 4
"""Questions that are asked side by side."""


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


def read_questions(count: int) -> list[Question]:
    """A handful, of as many types as there are."""
    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()
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
