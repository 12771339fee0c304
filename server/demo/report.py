"""What the demonstration shows and writes: rows, tables, and what lambda saved in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from budgetmem.info import ServerInfo
from budgetmem.modules import MODULES
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Answer


@dataclass(frozen=True)
class Question:
    """A line of questions.jsonl."""

    id: str
    question: str
    answers: list[str]
    type: str
    evidence: list[str]


@dataclass(frozen=True)
class Row:
    """One question at one budget: every module pinned to `tier`, or free at a `cost_weight`.

    `tiers` are those that were chosen, by module; `rungs` are what ran in the end. Tokens are input
    and output of all models, `milliseconds` the wall time beside the other questions.
    """

    id: str
    question: str
    gold: list[str]
    tier: str | None
    cost_weight: float | None
    router: str
    tiers: dict[str, str]
    rungs: dict[str, str]
    fallbacks: dict[str, list[str]]
    memory: str
    answer: str
    tokens: int
    memory_words: int
    cost_usd: float
    milliseconds: float

    @property
    def budget(self) -> str:
        """What was granted, in a word or two."""
        return self.tier or f"lambda {self.cost_weight:g}"


def row_of(question: Question, tier: Tier | None, cost_weight: float | None, answer: Answer) -> Row:
    """What an answer and its receipt tell."""
    receipt = answer.receipt
    return Row(
        id=question.id,
        question=question.question,
        gold=question.answers,
        tier=None if tier is None else tier.label,
        cost_weight=cost_weight,
        router=receipt.router,
        tiers={step.module: step.choice.tier.label for step in receipt.steps},
        rungs={step.module: step.rung for step in receipt.steps},
        fallbacks={
            step.module: [f"{f.rung}: {f.reason}" for f in step.fallbacks]
            for step in receipt.steps
            if step.fallbacks
        },
        memory=answer.memory.text,
        answer=answer.text,
        tokens=receipt.total.input_tokens + receipt.total.output_tokens,
        memory_words=len(answer.memory.text.split()),
        cost_usd=receipt.total.cost_usd,
        milliseconds=receipt.total.milliseconds,
    )


def show(console: Console, info: ServerInfo, strategy: str, rows: Sequence[Row]) -> None:
    """Prints the tables: first the tiers, then lambda or why there is none."""
    pinned = [row for row in rows if row.tier is not None]
    weighed = [row for row in rows if row.cost_weight is not None]
    cells = ", ".join(f"{tier.label} is `{STRATEGIES[strategy][tier]}`" for tier in Tier)
    console.print(f"\nstrategy {strategy}: {cells}\n", highlight=False)
    console.print(_pinned_table(pinned))
    if weighed:
        console.print(_weighed_table(weighed))
    console.print(_means(weighed or pinned))
    console.print(saved(weighed) if weighed else untrained(info, strategy), highlight=False)


def untrained(info: ServerInfo, strategy: str) -> str:
    """Why lambda is not shown."""
    return (
        f"Lambda (`cost_weight`) is not shown: with the profile {info.profile!r} the strategy "
        f"{strategy!r} has no trained router, and {info.router} takes no notice of it. "
        "docs/routers.md tells how to serve one."
    )


def saved(rows: Sequence[Row]) -> str:
    """What the largest lambda saved against the smallest, in words; honest where that is nothing.

    Cost and tokens are means over the questions.
    """
    weights = sorted({row.cost_weight for row in rows if row.cost_weight is not None})
    dear, cheap = ([r for r in rows if r.cost_weight == at] for at in (weights[0], weights[-1]))
    usd = _change(_mean(dear, _usd), _mean(cheap, _usd), ".7f", "USD")
    tokens = _change(_mean(dear, _tokens), _mean(cheap, _tokens), ".0f", "tokens")
    fell = _fallen_tiers(dear, cheap)
    moves = ", ".join(f"{module} in {count} of {len(dear)}" for module, count in fell.items())
    return (
        f"From lambda {weights[0]:g} to {weights[-1]:g} a question went from {usd} and from "
        f"{tokens}. "
        + (f"Cheaper tiers: {moves} questions." if fell else "No module got a cheaper tier.")
    )


def write(
    path: Path, info: ServerInfo, strategy: str, ready_seconds: float, rows: Sequence[Row]
) -> None:
    """Writes everything as JSON; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "profile": info.profile,
        "strategy": strategy,
        "router": info.routers.get(strategy, info.router),
        "ready_seconds": ready_seconds,
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _pinned_table(rows: Sequence[Row]) -> Table:
    title = "The caller chooses: one tier for every module"
    table = _table(title, ("question / gold", "tier", "memory", "answer"), ("tokens", "USD", "ms"))
    for head, row in _by_question(rows):
        table.add_row(
            head,
            row.tier,
            escape(row.memory),
            _answer(row),
            f"{row.tokens}",
            f"{row.cost_usd:.7f}",
            f"{row.milliseconds:.0f}",
            end_section=True,
        )
    return table


def _weighed_table(rows: Sequence[Row]) -> Table:
    title = (
        f"The router {rows[0].router} chooses: Low, Mid or High for each module. "
        "Lambda 0 is quality at any price, more is cheaper"
    )
    table = _table(title, ("question / gold", "lambda", *MODULES, "answer"), ("tokens", "USD"))
    last = {row.id: row for row in rows}
    for head, row in _by_question(rows):
        table.add_row(
            head,
            f"{row.cost_weight:g}",
            *(row.tiers[module][0].upper() for module in MODULES),
            _answer(row),
            f"{row.tokens}",
            f"{row.cost_usd:.7f}",
            end_section=row is last[row.id],
        )
    return table


def _means(rows: Sequence[Row]) -> Table:
    names = ("tokens", "memory words", "USD", "ms")
    table = _table("Means over the questions", ("budget",), names)
    for budget in dict.fromkeys(row.budget for row in rows):
        mine = [row for row in rows if row.budget == budget]
        table.add_row(
            budget,
            f"{_mean(mine, _tokens):.0f}",
            f"{_mean(mine, lambda row: row.memory_words):.0f}",
            f"{_mean(mine, _usd):.7f}",
            f"{_mean(mine, lambda row: row.milliseconds):.0f}",
        )
    return table


def _table(title: str, words: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=title)
    for name in words:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _by_question(rows: Sequence[Row]) -> list[tuple[str, Row]]:
    """The rows of each question together, the first one headed by the question and its answer."""
    found = []
    for id_ in dict.fromkeys(row.id for row in rows):
        mine = [row for row in rows if row.id == id_]
        head = f"{escape(mine[0].question)}\n[green]{escape(' | '.join(mine[0].gold))}[/green]"
        found += list(zip([head, *[""] * len(mine)], mine, strict=False))
    return found


def _answer(row: Row) -> str:
    """On one line, since a small model may well answer in several."""
    return f"[bold]{escape(' '.join(row.answer.split()))}[/bold]"


def _fallen_tiers(dear: Sequence[Row], cheap: Sequence[Row]) -> dict[str, int]:
    """By module, in how many questions its tier is lower in `cheap`; modules with none left out."""
    tiers = {tier.label: tier for tier in Tier}
    after = {row.id: row.tiers for row in cheap}
    counts = {
        module: sum(tiers[row.tiers[module]] > tiers[after[row.id][module]] for row in dear)
        for module in MODULES
    }
    return {module: count for module, count in counts.items() if count}


def _change(before: float, after: float, form: str, unit: str) -> str:
    share = after / before - 1 if before else 0.0
    percent = f"{abs(share):.0%} {'less' if share < 0 else 'more'}"
    told = percent if round(share, 2) else "the same"
    return f"{before:{form}} to {after:{form}} {unit} ({told})"


def _mean(rows: Sequence[Row], value: Callable[[Row], float]) -> float:
    return sum(value(row) for row in rows) / len(rows)


def _usd(row: Row) -> float:
    return row.cost_usd


def _tokens(row: Row) -> float:
    return row.tokens
