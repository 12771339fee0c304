"""What the server shows while it loads models."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

logger = logging.getLogger(__name__)

Loaded = Callable[[Sequence[str], Sequence[str]], None]


def log_loaded(loaded: Sequence[str], models: Sequence[str]) -> None:
    """Tells the log which model was loaded last."""
    if loaded:
        logger.info("loaded %s (%d of %d)", loaded[-1], len(loaded), len(models))


@contextmanager
def loading_display(wanted: bool) -> Iterator[Loaded]:
    """A bar on stderr while somebody watches it, else lines in the log."""
    if not (wanted and sys.stderr.isatty()):
        yield log_loaded
        return
    columns = (TextColumn("loading models"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, TextColumn("{task.description}"), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("", total=None)

        def show(loaded: Sequence[str], models: Sequence[str]) -> None:
            missing = ", ".join(name for name in models if name not in loaded)
            bar.update(task, total=len(models), completed=len(loaded), description=missing)

        yield show
