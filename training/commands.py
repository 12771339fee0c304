"""How the training commands end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from budgetmem.errors import BudgetMemError


@contextmanager
def ended_by_exit_code(console: Console) -> Iterator[None]:
    """A run of updates with checkpoints: exits with 1 for an error, which is told, and with 130 for
    Ctrl-C."""
    try:
        yield
    except BudgetMemError as exc:
        console.print(f"error: {exc}", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("stopped: the same command goes on from the last checkpoint")
        sys.exit(130)
