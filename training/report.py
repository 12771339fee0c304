"""Makes a page of tables and charts from the figures of evaluations.

    python training/report.py docs/results/figures/*.jsonl.gz --out docs/results

FIGURES are what training/evaluate.py writes: its folders, or files figures.jsonl.gz under any name.
Those of one setting whose ways of answering were evaluated apart, on two machines say, are one.
Where one is of a validation split, the constants that a router on another split of the same setting
is compared with are chosen there, and so are the lambdas of the table "In short". Evaluations that
differ in their strategy alone, or in their retrieval budget, get charts in common. OUT gets
README.md, and every chart as a PNG and as a page that answers the mouse and needs no network
(vega-embed.js beside it draws them all). The same figures give the same tables, byte by byte.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import altair as alt
from rich.console import Console
from rich.progress import track

from training import checkpoints
from training.commands import ended_by_exit_code
from training.reporting.chart_files import save, save_script
from training.reporting.charts import (
    budget_chart,
    frontier_chart,
    strategies_chart,
    tier_chart,
)
from training.reporting.compared import Compared, compared
from training.reporting.figures import FILE, Figures, read_figures
from training.reporting.joining import joined
from training.reporting.naming import common_name, families, named, setting_but
from training.reporting.page import joint_section, page, section

PAGE = "README.md"
SPLIT = ("split",)

Draw = Callable[[Sequence[Figures], str], alt.LayerChart]

JOINT: tuple[tuple[str, tuple[str, ...], Draw], ...] = (
    ("Strategies", ("strategy", "rungs"), strategies_chart),
    ("Retrieval budgets", ("max_tokens",), budget_chart),
)
"""What is drawn of evaluations that differ in some settings alone: the title of the section, the
settings, and how."""


def main() -> None:
    """Writes the page. Exit code 1 for figures that cannot be read."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", type=Path, nargs="+", metavar="FIGURES")
    parser.add_argument("--out", type=Path, required=True, help="folder of the page")
    args = parser.parse_args()
    console = Console(stderr=True)
    with ended_by_exit_code(console):
        found = [read_figures(_file(each)) for each in args.figures]
        report(joined(found), args.out, console)
    console.print(f"{args.out / PAGE}", markup=False)


def report(found: Sequence[Figures], out: Path, console: Console) -> None:
    """The page of these evaluations, and its charts.

    Raises ConfigError for two that cannot be told apart, or if a split lacks a constant that is
    among the best on validation.
    """
    validations = {setting_but(each, SPLIT): each for each in found if _is_validation(each)}
    checkpoints.make_folder(out)
    save_script(out)
    splits, sections = [], []
    for each in track(named(found), "charts", console=console):
        other = (
            None
            if _is_validation(each.figures)
            else validations.get(setting_but(each.figures, SPLIT))
        )
        split = compared(each.figures, other, each.heading)
        splits.append(split)
        sections.append(section(split, _charts(split, out, each.stem)))
    for title, keys, draw in JOINT:
        sections.append(joint_section(title, _joint_charts(found, out, keys, draw)))
    checkpoints.write(out / PAGE, page(splits, [each for each in sections if each]).encode())


def _charts(split: Compared, out: Path, stem: str) -> Mapping[str, str]:
    """Draws them; gives their stems by title."""
    charts = {"Frontier": f"{stem}-frontier"}
    save(frontier_chart(split), out / charts["Frontier"], f"{split.heading}: frontier")
    for label in split.seeing:
        title = f"Tiers of {label}"
        charts[title] = f"{stem}-tiers-{label}"
        save(tier_chart(split, label), out / charts[title], f"{split.heading}: tiers of {label}")
    return charts


def _joint_charts(
    found: Sequence[Figures], out: Path, keys: Sequence[str], draw: Draw
) -> Mapping[str, str]:
    """A chart for every family of evaluations that differ in these settings alone; their stems by
    title."""
    charts = {}
    for family in families(found, keys):
        rest, heading = common_name(family, keys, found)
        stem = f"{rest}-over-{keys[0].replace('_', '-')}"
        save(draw(family, heading), out / stem, heading)
        charts[heading] = stem
    return charts


def _is_validation(figures: Figures) -> bool:
    return figures.head.split == "validation"


def _file(given: Path) -> Path:
    return given / FILE if given.is_dir() else given


if __name__ == "__main__":
    main()
