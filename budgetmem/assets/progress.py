"""How a pull reports: bars on a terminal, plain lines in a log, nothing for machines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from budgetmem.assets.files import Advance

Unit = Literal["bytes", "parts"]


class Progress(Protocol):
    """Receives what a pull does."""

    def note(self, message: str) -> None:
        """One line for the reader."""

    def stage(self, label: str, total: int, unit: Unit) -> AbstractContextManager[Advance]:
        """A piece of work of `total` units; the context's value reports how much more is done."""


class Silent:
    """Reports nothing."""

    def note(self, message: str) -> None:
        pass

    @contextmanager
    def stage(self, label: str, total: int, unit: Unit) -> Iterator[Advance]:
        yield lambda amount: None


class Lines:
    """One line when a stage begins and one when it is done, with the share at every fourth."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def note(self, message: str) -> None:
        print(message, file=self._stream, flush=True)

    @contextmanager
    def stage(self, label: str, total: int, unit: Unit) -> Iterator[Advance]:
        size = f"{total / 1e6:.1f} MB" if unit == "bytes" else f"{total} {unit}"
        self.note(f"{label} ({size})")
        done, quarters = 0, 0

        def advance(amount: int) -> None:
            nonlocal done, quarters
            done += amount
            reached = 4 * done // total if total else 4
            if quarters < reached < 4:
                self.note(f"{label}: {25 * reached} %")
            quarters = max(quarters, reached)

        yield advance


_AMOUNT: dict[Unit, type[ProgressColumn]] = {"bytes": DownloadColumn, "parts": MofNCompleteColumn}


class Terminal:
    """A bar for each stage."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def note(self, message: str) -> None:
        self._console.print(message, highlight=False)

    @contextmanager
    def stage(self, label: str, total: int, unit: Unit) -> Iterator[Advance]:
        columns = [TextColumn("{task.description}"), BarColumn(), _AMOUNT[unit]()]
        with Bars(*columns, TimeRemainingColumn(), console=self._console) as bars:
            task = bars.add_task(label, total=total)
            yield lambda amount: bars.advance(task, amount)


def progress_for(stream: TextIO = sys.stderr, quiet: bool = False) -> Progress:
    """Bars if `stream` is a terminal, lines if not, nothing if `quiet`."""
    if quiet:
        return Silent()
    return Terminal(Console(file=stream)) if stream.isatty() else Lines(stream)
