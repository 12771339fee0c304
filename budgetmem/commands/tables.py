"""Tables for people: rows, steps, receipts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from budgetmem.commands.terminal import printable
from budgetmem.types import Receipt, Step, Usage

STEP_COLUMNS = ("module", "tier", "rung", "tokens in", "out", "USD", "ms", "fallback")
WIDTH_OF_A_PIPE = 140


def console() -> Console:
    """A console on stdout; wide where nobody watches, so that nothing is folded in a file."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_PIPE)


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a plain table; columns whose first cell is a number are right-aligned."""
    cells = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        numeric = bool(cells) and isinstance(cells[0][position], int | float)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*(_cell(value) for value in row))
    console().print(table, markup=False, highlight=False)


def print_receipt(receipt: Receipt) -> None:
    """Prints a row a step, what retrieval and the answer cost, and the totals."""
    rows = [step_row(step) for step in receipt.steps]
    rows.insert(0, ("retrieval", "", "", *_usage(receipt.retrieval), ""))
    if receipt.answer is not None:
        rows.append(("answer", "", "", *_usage(receipt.answer), ""))
    rows.append(("total", "", "", *_usage(receipt.total), ""))
    print_rows(STEP_COLUMNS, rows)
    for note in receipt.notes:
        console().print(f"note: {printable(note)}", markup=False, highlight=False)


def step_row(step: Step) -> tuple[object, ...]:
    """The cells of one step, under STEP_COLUMNS."""
    fallbacks = "; ".join(f"{f.rung}: {f.reason}" for f in step.fallbacks)
    return (step.module, step.choice.tier.label, step.rung, *_usage(step.usage), fallbacks)


def _usage(usage: Usage) -> tuple[int, int, float, int]:
    return usage.input_tokens, usage.output_tokens, usage.cost_usd, round(usage.milliseconds)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else printable(str(value))
