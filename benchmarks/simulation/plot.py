"""The simulated sweep as a picture: a column for each number of instances, a line an arm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def plot_sweep(rows: Sequence[dict[str, Any]], label: str, path: Path) -> None:
    """Goodput above p99 latency, over the offered rate. The ending of `path` names the format."""
    instances = sorted({row["instances"] for row in rows})
    figure = Figure(figsize=(1 + 4 * len(instances), 7), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(label)
    axes = figure.subplots(2, len(instances), sharex="col", squeeze=False)
    for column, number in enumerate(instances):
        chosen = [row for row in rows if row["instances"] == number]
        for arm in dict.fromkeys(row["arm"] for row in chosen):
            mine = [row for row in chosen if row["arm"] == arm]
            _line(axes[0, column], mine, "goodput", arm)
            _line(axes[1, column], mine, "p99_ms", arm)
        axes[0, column].set(title=f"{number} instances", ylabel="goodput [queries/s]")
        axes[1, column].set(xlabel="offered [queries/s]", ylabel="p99 [ms]", yscale="log")
    for each in axes.flat:
        each.set(xscale="log")
        each.grid(alpha=0.3)
    axes[0, 0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _line(axes: Axes, rows: Sequence[dict[str, Any]], name: str, label: str) -> None:
    points = [(row["rate"], row[name]["mean"]) for row in rows if row[name] is not None]
    axes.plot([rate for rate, _ in points], [y for _, y in points], marker="o", label=label)
