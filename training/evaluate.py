"""Answers a split's questions in several ways, so that they can be compared question by question.

    python training/evaluate.py --dataset locomo --data locomo10.json --split test \\
        --strategy implementation --router small/implementation --cost-weights 0,0.1,0.3,0.9 \\
        --baselines all --out build/results/locomo-implementation

Walks the pipeline that serves, against live Triton and through the tier scheduler. Every answer is
kept at once, with its scores and its receipt, in a JSON file of its own; a run that was cut off
goes on where it stopped, and questions, ways of answering or a judge may be added. OUT/summary.json
has the means and what they depend on, OUT/figures.jsonl.gz all results without a word of the data,
for training/report.py. What failed is tried again by the next run, and scores 0 until then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from rich.console import Console

from budgetmem.config import load_profile
from budgetmem.tiers import STRATEGIES
from training.arguments import add_question_options, cost_weights, positive
from training.arms import BASELINES
from training.commands import ended_by_exit_code
from training.comparison import Comparison
from training.datasets import open_dataset, options_of
from training.datasets.base import SPLIT_NAMES
from training.models import add_live_options
from training.reporting.arm_names import CHUNK_TOKENS
from training.reporting.figures import FILE, write_figures
from training.reporting.results import SUMMARY, Results, write_json
from training.reporting.summary import report, table


def main() -> None:
    """Evaluates until all questions are answered in all ways. Exit code 1 if some were not."""
    args = _arguments()
    console = Console(stderr=True)
    with ended_by_exit_code(console, "from here"):
        failed = asyncio.run(_evaluate(args, console))
    if failed:
        console.print(f"{failed} failed: the same command tries them again")
        sys.exit(1)


async def _evaluate(args: argparse.Namespace, console: Console) -> str:
    """How many answers and verdicts failed, in words; "" if none did."""
    dataset = open_dataset(args.dataset, args.data, **options_of(args.data_option))
    comparison = Comparison(args, load_profile(args.profile), dataset, console)
    async with comparison.arms() as (arms, routers):
        results = Results(args.out, comparison.setting())
        results.add_routers(routers)
        failures, unjudged = await comparison.answer(arms, results)
    figures = comparison.figures(results, arms)
    write_figures(results.folder / FILE, figures)
    summary = report(figures, failures, [arm.name for arm in arms])
    write_json(results.folder / SUMMARY, summary)
    if args.json:
        print(json.dumps(summary["arms"], indent=2))
    else:
        title = f"{dataset.name}, {args.split}, {args.strategy}"
        Console().print(table(summary["arms"], title))
    if len(summary["codes"]) > 1:
        console.print(f"{len(summary['codes'])} versions of the code answered: {SUMMARY} has which")
    failed = {"answers": failures, "verdicts": unjudged}
    counts = {what: sum(map(len, by_arm.values())) for what, by_arm in failed.items()}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_question_options(parser)
    parser.add_argument("--split", default="test", choices=SPLIT_NAMES)
    parser.add_argument("--strategy", required=True, choices=sorted(STRATEGIES))
    parser.add_argument(
        "--router",
        action="append",
        default=[],
        metavar="[NAME=]FOLDER",
        help="a trained router, or one that comes with the package; may be repeated, also under "
        "one name where they take different lambdas",
    )
    parser.add_argument(
        "--cost-weights",
        type=cost_weights,
        default=(0.0, 0.1, 0.3, 0.9),
        metavar="LAMBDAS",
        help="with commas; default: 0,0.1,0.3,0.9; a router is asked at those that it takes",
    )
    parser.add_argument(
        "--baselines",
        default="none",
        metavar="NAMES",
        help=f"all ({', '.join(arm.name for arm in BASELINES)}), none (default), or some of these, "
        f"plain-K for K times {CHUNK_TOKENS} tokens, and paths such as LMHLM",
    )
    parser.add_argument(
        "--nearest",
        type=Path,
        metavar="OUTCOMES",
        help="choose by the nearest training questions of a recording too, at each lambda",
    )
    parser.add_argument("--judge", metavar="BACKBONE", help="grade answers by this backbone too")
    parser.add_argument("--questions", type=positive, help="so many, stratified; default: all")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    add_live_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
