"""The results for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from benchmarks.throughput.results import (
    Journal,
    Offered,
    by_row,
    pairs,
)
from benchmarks.throughput.rows import ABOUT, CEILING

SHOWN = ("queries_per_s", "llm_tokens_per_s", "p50_ms", "p95_ms", "goodput", "failed", "fallbacks")
WORK = (
    "llm_calls",
    "prompt_tokens",
    "output_tokens",
    "encoder_calls",
    "encoder_texts",
    "tagger_calls",
    "tagger_texts",
)


def document(journal: Journal, offered: Offered, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Everything: what was chosen, where it ran, the summary and all cells."""
    lines = journal.lines()
    cells = journal.cells()
    return {
        "setting": journal.setting,
        "arguments": arguments,
        "offered": asdict(offered),
        "starts": list({line["start"]: None for line in lines}),
        "machine": lines[-1]["machine"] if lines else None,
        "triton": lines[-1]["triton"] if lines else None,
        "rows": by_row(cells, offered),
        "pairs": pairs(cells, offered),
        "about": dict(ABOUT),
        "cells": [{**line["cell"], "start": line["start"]} for line in lines],
    }


def tables(whole: Mapping[str, Any]) -> list[Table]:
    """The rows, their work, and `ours` against the others."""
    rows = whole["rows"]
    speed = Table(
        title="By row: mean [95% interval] over repeats, "
        f"{len(whole['starts'])} start(s) of the models",
        caption=_ceiling_note(whole["cells"]),
    )
    _fill(speed, rows, [name for name in SHOWN if _any(rows, name) or name == "failed"])
    work = Table(title="Work, a query: what reached the models and was answered")
    _fill(work, rows, [name for name in WORK if _any(rows, name)])
    against = Table(title="ours against the others, within a repeat: mean [95% interval]")
    for heading in ("", "ratio of queries/s", "p50 added (ms)"):
        against.add_column(heading, justify="right" if heading else "left")
    for name, pair in whole["pairs"].items():
        against.add_row(name, _mean(pair["ratio"]), _mean(pair["added_p50_ms"]))
    return [table for table in (speed, work, against) if table.row_count]


def _fill(table: Table, rows: Mapping[str, Any], names: Sequence[str]) -> None:
    table.add_column("row", no_wrap=True)
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for row, means in rows.items():
        table.add_row(row, *(_mean(means.get(name)) for name in names))


def _any(rows: Mapping[str, Any], name: str) -> bool:
    return any((row.get(name) or {"mean": 0})["mean"] > 0 for row in rows.values())


def _ceiling_note(cells: Sequence[Mapping[str, Any]]) -> str | None:
    best = [f"{key}: {each['order']}" for cell in cells for key, each in cell["best"].items()]
    if not best:
        return None
    return (
        f"{CEILING}: {ABOUT[CEILING]}; several backbones one after the other, their times added. "
        f"Best order: {'; '.join(dict.fromkeys(best))}."
    )


def _mean(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "-"
    mean, low, high = (_number(value[name]) for name in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def _number(value: float) -> str:
    """Three decimals for what is small, none for what is large."""
    decimals = 3 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{decimals}f}"
