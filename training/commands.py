"""How the commands that ask models show their work, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from budgetmem.errors import BudgetMemError


def work_bars(console: Console, *more: ProgressColumn) -> Progress:
    """Bars of things that are done one by one, with the time that is left, and `more` behind it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, *more, console=console)


@contextmanager
def ended_by_exit_code(
    console: Console, goes_on: str = "from the last checkpoint"
) -> Iterator[None]:
    """A run that can be cut off: exits with 1 for an error, which is told, and with 130 for Ctrl-C,
    telling from where the same command `goes_on`."""
    try:
        yield
    except BudgetMemError as exc:
        console.print(f"error: {exc}", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print(f"stopped: the same command goes on {goes_on}")
        sys.exit(130)
