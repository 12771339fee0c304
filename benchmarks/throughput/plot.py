"""Queries/s by row as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.throughput.rows import CEILING, OURS


def plot_rows(rows: Mapping[str, Any], title: str, path: Path) -> None:
    """One bar a row, with its interval. The ending of `path` names the format."""
    means = [row["queries_per_s"] for row in rows.values()]
    figure = Figure(figsize=(8, 1 + 0.45 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.barh(
        list(rows),
        [mean["mean"] for mean in means],
        xerr=(
            [mean["mean"] - mean["low"] for mean in means],
            [mean["high"] - mean["mean"] for mean in means],
        ),
        color=[_color(name) for name in rows],
        capsize=3,
    )
    axes.invert_yaxis()
    axes.set(xlabel="queries/s (mean, 95% interval over repeats)", title=title)
    axes.grid(axis="x", alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _color(row: str) -> str:
    return {OURS: "tab:blue", CEILING: "lightgrey"}.get(row, "tab:gray")
