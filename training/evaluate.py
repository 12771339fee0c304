"""Answers a split's questions in several ways, so that they can be compared question by question.

    python training/evaluate.py --dataset locomo --data locomo10.json --split test \\
        --strategy implementation --router small/implementation --cost-weights 0,0.1,0.3,0.9 \\
        --baselines all --out build/results/locomo-implementation

Walks the pipeline that serves, against live Triton and through the tier scheduler. Every answer is
kept at once, with its scores and its receipt, in a JSON file of its own; a run that was cut off
goes on where it stopped, and questions or ways of answering may be added. OUT/summary.json has the
means and what they depend on, OUT/figures.jsonl.gz all results without a word of the data, for
training/report.py. What failed is tried again by the next run, and scores 0 until then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from budgetmem.bundled_routers import router_folder
from budgetmem.config import Profile, load_profile
from budgetmem.errors import ConfigError
from budgetmem.gather import gather_or_cancel
from budgetmem.tiers import STRATEGIES, Tier
from server.routers import serving_routers
from training.arguments import add_question_options, positive
from training.arms import BASELINES, Answered, Arm, Routed, baselines, named_folder
from training.commands import ended_by_exit_code
from training.datasets import open_dataset, options_of
from training.datasets.base import SPLIT_NAMES, Dataset, Question
from training.datasets.metrics import evidence_recall
from training.datasets.sampling import interleaved
from training.judge import FAILURES as JUDGE_FAILURES
from training.judge import Case, Judge
from training.models import add_live_options, live_options, open_walker
from training.neighbours import nearest_router
from training.reporting.figures import FILE, Figures, Head, write_figures
from training.reporting.results import (
    SUMMARY,
    Costs,
    Result,
    Results,
    code_hash,
    receipt_of,
    write_json,
)
from training.reporting.summary import summarized, table
from training.rollouts.paths import LETTERS
from training.rollouts.setting import setting_of
from training.rollouts.walks import FAILURES, Walker

NEAREST = "nearest"
"""What the router of nearest neighbours is called."""


def main() -> None:
    """Evaluates until all questions are answered in all ways. Exit code 1 if some were not."""
    args = _arguments()
    console = Console(stderr=True)
    with ended_by_exit_code(console, "from here"):
        failed = asyncio.run(_evaluate(args, console))
    if failed:
        console.print(f"{failed} answers failed: the same command tries them again")
        sys.exit(1)


async def _evaluate(args: argparse.Namespace, console: Console) -> int:
    dataset = open_dataset(args.dataset, args.data, **options_of(args.data_option))
    run = Run(args, load_profile(args.profile), dataset, console)
    chosen = interleaved(dataset.questions(args.split), args.seed)[: args.questions]
    async with run.arms() as (arms, versions):
        results = Results(args.out, run.setting())
        known = results.add_routers(versions)
        todo = [
            (arm, question)
            for question in chosen
            for arm in arms
            if not results.has(arm.name, question.id)
        ]
        count = len(chosen) * len(arms)
        console.print(f"{count - len(todo)} of {count} answers are there")
        failures = await run.answer(todo, results) if todo else {}
    summary = _write(results, known, chosen, [arm.name for arm in arms], failures)
    if args.json:
        print(json.dumps(summary, indent=2))
    else:
        Console().print(table(summary, f"{dataset.name}, {args.split}, {args.strategy}"))
    return sum(map(len, failures.values()))


def _write(
    results: Results,
    routers: Mapping[str, str],
    questions: Sequence[Question],
    arms: Sequence[str],
    failures: Mapping[str, Sequence[str]],
) -> Mapping[str, Mapping[str, object]]:
    """The summary of these ways of answering, and a file of figures, which has those of earlier
    runs too that answered all of these questions."""
    names = tuple(each.id for each in questions)
    found = {arm: results.of(arm, names) for arm in dict.fromkeys([*arms, *results.arms()])}
    told = {arm: held for arm, held in found.items() if arm in arms or len(held) == len(names)}
    head = Head(results.setting, routers, code_hash(), names, tuple(told))
    write_figures(results.folder / FILE, Figures(head, told))
    summary = summarized({arm: found[arm] for arm in arms}, len(names), failures)
    whole = {"setting": head.setting, "routers": routers, "code": head.code, "arms": summary}
    write_json(results.folder / SUMMARY, whole)
    return summary


@dataclass(frozen=True)
class Run:
    """A command line, and what it opened."""

    args: argparse.Namespace
    profile: Profile
    dataset: Dataset
    console: Console

    @asynccontextmanager
    async def arms(self) -> AsyncIterator[tuple[list[Arm], dict[str, str]]]:
        """The ways of answering, and the versions of the routers among them.

        Raises ConfigError if there are none, or for a router that is not of the strategy.
        """
        arms: list[Arm] = list(baselines(self.args.baselines))
        versions = {}
        async with AsyncExitStack() as stack:
            for label, folder in map(named_folder, self.args.router):
                served = await stack.enter_async_context(
                    serving_routers(self.profile, [router_folder(folder)])
                )
                if self.args.strategy not in served.cost_weights():
                    raise ConfigError(
                        f"{folder} is no router of the strategy {self.args.strategy!r}"
                    )
                versions[label] = served.versions()[self.args.strategy]
                arms += [Routed(label, served, weight) for weight in self.args.cost_weights]
            if self.args.nearest is not None:
                nearest = nearest_router(self.args.nearest, self.dataset, self.args.strategy)
                versions[NEAREST] = nearest.version
                arms += [Routed(NEAREST, nearest, weight) for weight in self.args.cost_weights]
            if not arms:
                raise ConfigError("nothing to evaluate: name a --router, or --baselines")
            yield arms, versions

    def setting(self) -> dict[str, object]:
        """What the results depend on."""
        setting = setting_of(
            self.profile,
            self.dataset,
            dataset_name=self.args.dataset,
            split=self.args.split,
            strategy=self.args.strategy,
            max_tokens=self.args.max_tokens,
        )
        return {**setting, "judge": self.args.judge}

    async def answer(
        self, todo: Sequence[tuple[Arm, Question]], results: Results
    ) -> Mapping[str, list[str]]:
        """Answers all of these; gives the questions that each way of answering failed on."""
        live = live_options(self.args)
        async with open_walker(
            live,
            [question for _, question in todo],
            profile=self.profile,
            dataset=self.dataset,
            strategy=self.args.strategy,
            max_tokens=self.args.max_tokens,
        ) as (walker, _):
            evaluation = Evaluation(
                walker=walker,
                results=results,
                judge=_judge(self.args.judge, walker),
                slots=asyncio.Semaphore(live.concurrency),
                console=self.console,
            )
            await evaluation.run(todo)
            return evaluation.failures


def _judge(backbone: str | None, walker: Walker) -> Judge | None:
    """Raises ConfigError for a backbone that the profile lacks."""
    if backbone is None:
        return None
    known = walker.profile.backbones
    if backbone not in known:
        raise ConfigError(f"--judge: {backbone!r} is not one of {', '.join(known)}")
    return Judge(walker.models.backbones[backbone], known[backbone].template)


@dataclass(frozen=True)
class Evaluation:
    """Answers, so many at once, and keeps each as soon as it is there.

    `failures` names the questions that each way of answering failed on.
    """

    walker: Walker
    results: Results
    judge: Judge | None
    slots: asyncio.Semaphore
    console: Console
    failures: dict[str, list[str]] = field(default_factory=dict)

    async def run(self, todo: Sequence[tuple[Arm, Question]]) -> None:
        """All of them."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            bar = progress.add_task("answers", total=len(todo))

            async def one(arm: Arm, question: Question) -> None:
                told = await self._keep(arm, question)
                progress.advance(bar)
                if told is not None or not self.console.is_terminal:
                    line = f"{arm.name} {question.id}: {told or 'done'}"
                    self.console.print(line, markup=False)

            await gather_or_cancel([one(arm, question) for arm, question in todo])

    async def _keep(self, arm: Arm, question: Question) -> str | None:
        """Why there is no answer, None if there is one."""
        async with self.slots:
            try:
                answered = await arm.answer(self.walker, question)
            except FAILURES as exc:
                self.failures.setdefault(arm.name, []).append(question.id)
                return str(exc)
            verdict = await self._verdict(question, answered)
        self.results.put(arm.name, self._result(question, answered, verdict))
        return None

    async def _verdict(self, question: Question, answered: Answered) -> float | None:
        if self.judge is None:
            return None
        try:
            case = Case(question.text, (question.gold,), answered.text)
            return (await self.judge.grade(case)).score
        except JUDGE_FAILURES as exc:
            self.console.print(f"{question.id}: no verdict: {exc}", markup=False)
            return None

    def _result(self, question: Question, answered: Answered, verdict: float | None) -> Result:
        receipt = answered.receipt
        assert receipt.answer is not None  # it was answered
        before = receipt.total
        spent = before.input_tokens + before.output_tokens
        answer = receipt.answer
        return Result(
            question=question.id,
            history=question.history,
            category=question.category,
            prediction=answered.text,
            score=self.walker.dataset.score(question, answered.text),
            recall=evidence_recall(question.evidence, answered.turn_ids),
            judge=verdict,
            costs_usd=Costs(receipt.total.cost_usd - answer.cost_usd, answer.cost_usd),
            query_tokens=spent - answer.input_tokens - answer.output_tokens,
            answer_tokens=answer.input_tokens,
            tiers="".join(LETTERS[Tier(step.choice.tier)] for step in receipt.steps),
            fell=tuple(step.module for step in receipt.steps if step.fallbacks),
            milliseconds=receipt.total.milliseconds,
            receipt=receipt_of(receipt),
        )


def _weights(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


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
        help="a trained router, or one that comes with the package; may be repeated",
    )
    parser.add_argument(
        "--cost-weights",
        type=_weights,
        default=(0.0, 0.1, 0.3, 0.9),
        metavar="LAMBDAS",
        help="with commas; default: 0,0.1,0.3,0.9",
    )
    parser.add_argument(
        "--baselines",
        default="none",
        metavar="NAMES",
        help=f"all ({', '.join(arm.name for arm in BASELINES)}), none (default), or some of these, "
        "plain-K for K chunks, and paths such as LMHLM",
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
