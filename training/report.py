"""Makes a page of tables and charts from the figures of evaluations.

    python training/report.py docs/results/figures/*.jsonl.gz --out docs/results

FIGURES are what training/evaluate.py writes: its folders, or files figures.jsonl.gz under any name.
Where one is of a validation split, the constants that a router on another split of the same setting
is compared with are chosen there. OUT gets README.md, and every chart as a PNG and as a page that
answers the mouse and needs no network. The same figures give the same tables, byte by byte.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from budgetmem.errors import ConfigError
from training import checkpoints
from training.commands import ended_by_exit_code
from training.reporting.arm_names import BLIND, routed
from training.reporting.charts import frontier_chart, save, tier_chart
from training.reporting.figures import FILE, Figures, read_figures
from training.reporting.page import page, section
from training.reporting.tables import Compared, compared

PAGE = "README.md"


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
        report([read_figures(_file(each)) for each in args.figures], args.out, console)
    console.print(f"{args.out / PAGE}", markup=False)


def report(found: Sequence[Figures], out: Path, console: Console) -> None:
    """The page of these evaluations, and its charts.

    Raises ConfigError for two of the same setting, or if a split lacks a constant that is among the
    best on validation.
    """
    named = {_stem(each): each for each in found}
    if len(named) < len(found):
        raise ConfigError("two of the figures are of the same dataset, split and strategy")
    validations = {_pair(each): each for each in found if each.head.split == "validation"}
    checkpoints.make_folder(out)
    sections = []
    for stem, figures in track(named.items(), "charts", console=console):
        other = validations.get(_pair(figures))
        split = compared(figures, None if other is figures else other)
        sections.append(section(split, _charts(split, out, stem)))
    checkpoints.write(out / PAGE, page(sections).encode())


def _charts(split: Compared, out: Path, stem: str) -> Mapping[str, str]:
    """Draws them; gives their stems by title."""
    charts = {"Frontier": f"{stem}-frontier"}
    save(frontier_chart(split), out / charts["Frontier"])
    for label in routed(split.figures.head.arms):
        if label != BLIND:
            title = f"Tiers of {label}"
            charts[title] = f"{stem}-tiers-{label}"
            save(tier_chart(split.figures, label), out / charts[title])
    return charts


def _file(given: Path) -> Path:
    return given / FILE if given.is_dir() else given


def _stem(figures: Figures) -> str:
    setting = figures.head.setting
    return f"{setting['dataset']}-{figures.head.split}-{setting['strategy']}"


def _pair(figures: Figures) -> str:
    """The same for two splits of one setting."""
    return str(sorted({**figures.head.setting, "split": None}.items()))


if __name__ == "__main__":
    main()
