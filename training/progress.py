"""How training shows itself: a bar on a terminal, lines elsewhere, TensorBoard events, a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Protocol

import rich.progress
from rich.console import Console
from rich.table import Table

from budgetmem.tiers import Tier
from training.evaluation import Walked

EVENTS = "tensorboard"


class Events(Protocol):
    """What is used of torch's SummaryWriter."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object: ...

    def close(self) -> object: ...


class Progress:
    """Shows the updates of one run, as a context manager. `done` updates were made before.

    Metrics are shown by name: `reward`, `cost_usd`, the tier ratios `tier/low` and so on, and the
    sum of `failed` if there is any; all of them become TensorBoard scalars in `out`/tensorboard.
    """

    def __init__(self, console: Console, out: Path, updates: int, done: int) -> None:
        self._console = console
        self._updates = updates
        self._done = done
        self._started = perf_counter()
        self._shown = ""
        self._failed = 0
        self._events = _events(out / EVENTS, done, console)
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeRemainingColumn(),
            rich.progress.TextColumn("{task.fields[shown]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(out.name, total=updates, completed=done, shown="")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if self._events is not None:
            self._events.close()

    def learned(self, update: int, metrics: Mapping[str, float]) -> None:
        """After an update, counted from 1."""
        tiers = " ".join(f"{tier.label} {metrics[f'tier/{tier.label}']:.0%}" for tier in Tier)
        self._failed += int(metrics["failed"])
        failed = f", {self._failed} failed" if self._failed else ""
        self._shown = (
            f"reward {metrics['reward']:.3f}, USD {metrics['cost_usd']:.3g}, {tiers}{failed}"
        )
        self._bar.update(self._task, completed=update, shown=self._shown)
        self._write("train", update, metrics)

    def validated(self, update: int, found: Sequence[Walked], best: bool) -> None:
        """After a validation; `best` says whether it was the best so far."""
        reward = sum(each.reward for each in found) / len(found)
        metrics = {"reward": reward}
        for each in found:
            metrics[f"reward/{each.cost_weight:g}"] = each.reward
            metrics[f"score/{each.cost_weight:g}"] = float(each.scores.mean())
            metrics[f"cost_usd/{each.cost_weight:g}"] = float(each.costs.mean())
        self._write("validation", update, metrics)
        if not self._console.is_terminal:
            pace = (perf_counter() - self._started) / (update - self._done)
            told = f"{self._shown}; validation {reward:.4f}{' (best)' if best else ''}"
            left = f"{pace * (self._updates - update):.0f} s left, {pace * 1000:.0f} ms an update"
            line = f"update {update} of {self._updates}: {told}; {left}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _write(self, group: str, update: int, metrics: Mapping[str, float]) -> None:
        if self._events is not None:
            for name, value in metrics.items():
                self._events.add_scalar(f"{group}/{name}", value, update)


def table(title: str, found: Sequence[Walked]) -> Table:
    """A row for each result: means over the questions, costs in USD."""
    shown = Table("who", "lambda", "score", "USD", "reward", "low / mid / high", title=title)
    for each in found:
        shown.add_row(
            each.name,
            f"{each.cost_weight:g}",
            f"{each.scores.mean():.4f}",
            f"{each.costs.mean():.3e}",
            f"{each.reward:.4f}",
            " / ".join(f"{share:.0%}" for share in each.ratios.mean(axis=0)),
        )
    return shown


def _events(folder: Path, done: int, console: Console) -> Events | None:
    """Scalars after update `done` that are there already are of a run that was cut off."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
    except ModuleNotFoundError:
        console.print("no TensorBoard events: pip install 'budgetmem[train]'", markup=False)
        return None
    events: Events = SummaryWriter(str(folder), purge_step=done + 1)
    return events
