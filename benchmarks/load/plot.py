"""The sweep as a picture: latency and rates over the offered rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def plot_sweep(rows: Sequence[dict[str, Any]], slo_ms: float, path: Path) -> None:
    """Writes two panels, latencies above rates. The ending of `path` names the format."""
    figure = Figure(figsize=(7, 7), layout="constrained")
    FigureCanvasAgg(figure)
    latency, rate = figure.subplots(2, 1, sharex=True)
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        _line(latency, rows, name, name.removesuffix("_ms"))
    latency.axhline(slo_ms, color="grey", linestyle=":", label="objective")
    latency.set(ylabel="latency from the intended send [ms]", yscale="log")
    for name in ("answered", "goodput", "refused", "failed"):
        _line(rate, rows, name, name)
    offered = [row["rate"] for row in rows]
    rate.plot(offered, offered, color="grey", linestyle=":", label="offered")
    rate.set(xlabel="offered [questions/s]", ylabel="questions/s", ylim=(0, None))
    for axes in (latency, rate):
        axes.grid(alpha=0.3)
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _line(axes: Axes, rows: Sequence[dict[str, Any]], name: str, label: str) -> None:
    points = [(row["rate"], row[name]) for row in rows if row[name] is not None]
    middle = [mean["mean"] for _, mean in points]
    below = [mean["mean"] - mean["low"] for _, mean in points]
    above = [mean["high"] - mean["mean"] for _, mean in points]
    axes.errorbar(
        [rate for rate, _ in points], middle, (below, above), marker="o", capsize=3, label=label
    )
