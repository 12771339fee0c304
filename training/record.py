"""Records what the paths through the pipeline come to, so that routers train without a model.

    python training/record.py --data locomo10.json --strategy implementation --questions 150 \\
        --output outcomes.jsonl.gz

    python training/record.py --dataset hotpotqa --data folder --data-option train=train.jsonl \\
        --data-option validation=dev.jsonl --strategy capacity --output outcomes.jsonl.gz

Walks the planned paths of each question with the pipeline that serves, against live Triton and
through the tier scheduler. Every reply goes to the recording at once, and every question's
outcomes to the output when its paths are done: a run that was cut off goes on where it stopped,
and one that asks for more questions, or for more paths, keeps those that it has. With --router
the paths that a trained router chooses are walked too, so that it is judged by what was measured:

    python training/record.py ... --router routers/first --output outcomes.jsonl.gz
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import TextColumn

from budgetmem.config import load_profile
from budgetmem.features import NAMES
from budgetmem.gather import gather_or_cancel
from budgetmem.router import Routers
from budgetmem.tiers import STRATEGIES
from training.arguments import add_question_options, cost_weights, paths, positive
from training.commands import ended_by_exit_code, work_bars
from training.datasets import Question, open_dataset, options_of
from training.datasets.sampling import interleaved
from training.entrants import opened
from training.models import add_live_options, live_options, open_walker
from training.reward import PAPER_COST_WEIGHTS
from training.rollouts import outcomes
from training.rollouts.paths import UNIFORM, planned, spell
from training.rollouts.paths import Path as TierPath
from training.rollouts.recording import Tally
from training.rollouts.setting import check_embeds_queries, setting_of
from training.rollouts.walks import FAILURES, Walker


def main() -> None:
    """Records until all questions are done. Exit code 1 if some could not be."""
    args = _arguments()
    console = Console(stderr=True)
    with ended_by_exit_code(console, "from here"):
        failed = asyncio.run(_record(args, console))
    if failed:
        console.print(f"{failed} questions failed: the same command tries them again")
        sys.exit(1)


async def _record(args: argparse.Namespace, console: Console) -> int:
    profile = load_profile(args.profile)
    check_embeds_queries(profile)
    dataset = open_dataset(args.dataset, args.data, **options_of(args.data_option))
    chosen = interleaved(dataset.questions(args.split), args.seed)[: args.questions]
    setting = setting_of(
        profile,
        dataset,
        dataset_name=args.dataset,
        split=args.split,
        strategy=args.strategy,
        max_tokens=args.max_tokens,
    )
    async with AsyncExitStack() as stack:
        entrants = [await opened(each, profile, args.strategy, stack) for each in args.router]
        routed = [(each.routers, each.cost_weights(args.cost_weights)) for each in entrants]
        writer = outcomes.Writer(args.output, setting, NAMES)
        held = outcomes.read(args.output).outcomes
        everywhere = [*(UNIFORM if args.constants else ()), *args.paths]
        plan = Plan({each.question: each.leaves for each in held}, everywhere, args.plan)
        # What a router chooses is not known before it is asked.
        todo = [each for each in chosen if routed or plan.missing(each.id)]
        console.print(f"{len(chosen) - len(todo)} of {len(chosen)} questions are done")
        if not todo:
            return 0
        live = live_options(args)
        walker, tally = await stack.enter_async_context(
            open_walker(
                live,
                todo,
                profile=profile,
                dataset=dataset,
                strategy=args.strategy,
                max_tokens=args.max_tokens,
            )
        )
        slots = asyncio.Semaphore(live.concurrency)
        recorder = Recorder(walker, writer, tally, plan, slots, console, routed)
        return await recorder.walk_all(todo)


@dataclass(frozen=True)
class Plan:
    """Which paths of questions are wanted. `held` are those that are recorded, spelled, by the id
    of the question; `everywhere` are walked of every question, `own` says whether those that are
    planned for it are too."""

    held: Mapping[str, Collection[str]] = field(default_factory=dict)
    everywhere: Sequence[TierPath] = ()
    own: bool = True

    def missing(self, question: str, chosen: Sequence[TierPath] = ()) -> list[TierPath]:
        """What is wanted of a question and not recorded, `chosen` too, each once."""
        own = planned(question) if self.own else ()
        wanted = dict.fromkeys([*own, *self.everywhere, *chosen])
        held = self.held.get(question, ())
        return [path for path in wanted if spell(path) not in held]


@dataclass(frozen=True)
class Recorder:
    """Walks questions, so many at once, and writes what comes of each as soon as it is known.

    `routed` are routers, and the lambdas at which they choose paths that are wanted too.
    """

    walker: Walker
    writer: outcomes.Writer
    tally: Tally
    plan: Plan
    slots: asyncio.Semaphore
    console: Console
    routed: Sequence[tuple[Routers, Sequence[float]]] = ()

    async def walk_all(self, questions: Sequence[Question]) -> int:
        """How many questions failed; those that did not are written."""
        with work_bars(self.console, TextColumn("{task.fields[replies]}")) as progress:
            bar = progress.add_task(self.walker.strategy, total=len(questions), replies="")

            async def run(question: Question) -> bool:
                failure = await self._walk(question)
                told = f"{self.tally.made} replies made, {self.tally.known} known"
                progress.update(bar, advance=1, replies=told)
                if failure is not None or not self.console.is_terminal:
                    self.console.print(f"{question.id}: {failure or told}", markup=False)
                return failure is not None

            return sum(await gather_or_cancel([run(question) for question in questions]))

    async def _walk(self, question: Question) -> str | None:
        async with self.slots:
            try:
                chosen = [
                    path
                    for routers, cost_weights in self.routed
                    for path in await self.walker.chosen(question, routers, cost_weights)
                ]
                missing = self.plan.missing(question.id, chosen)
                if not missing:
                    return None
                found = await self.walker.outcomes(question, missing)
            except FAILURES as exc:
                return str(exc)
        self.writer.write(found)
        return None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_question_options(parser)
    parser.add_argument("--split", default="train", choices=["train", "validation"])
    parser.add_argument("--strategy", required=True, choices=sorted(STRATEGIES))
    parser.add_argument("--questions", type=positive, default=150)
    parser.add_argument(
        "--constants", action="store_true", help="walk the paths of one tier for all modules too"
    )
    parser.add_argument(
        "--paths", type=paths, default=(), metavar="PATHS", help="walk these too: LLLLM,LMMMM"
    )
    parser.add_argument(
        "--router",
        action="append",
        default=[],
        metavar="FOLDER",
        help="walk the paths too that a router chooses at each of --cost-weights; may be repeated",
    )
    parser.add_argument(
        "--cost-weights",
        type=cost_weights,
        default=PAPER_COST_WEIGHTS,
        metavar="LAMBDAS",
        help="with commas; default: the paper's; a router is asked at those that it takes",
    )
    parser.add_argument("--output", type=Path, required=True, help="outcomes, a JSON line each")
    parser.add_argument(
        "--no-plan",
        dest="plan",
        action="store_false",
        help="walk none of the four paths that are planned for each question",
    )
    add_live_options(parser)
    args = parser.parse_args()
    if not (args.plan or args.constants or args.paths or args.router):
        parser.error("--no-plan leaves nothing to walk: give --constants, --paths or --router")
    return args


if __name__ == "__main__":
    main()
