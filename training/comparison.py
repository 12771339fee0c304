"""What an evaluation compares: the ways of answering, what is left to do, and what was found."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property

from rich.console import Console
from rich.progress import track

from budgetmem.backbone import TokenCounter
from budgetmem.config import Profile
from budgetmem.errors import ConfigError
from training.answering import Answering, Todo, grader
from training.arms import Arm, baselines
from training.building import build_of
from training.datasets.base import Dataset, Question
from training.datasets.sampling import interleaved
from training.entrants import Entrant, opened
from training.judge import judge_name
from training.models import live_options, open_walker
from training.nearest import nearest
from training.reporting.arm_names import routed
from training.reporting.code import code_hash
from training.reporting.figures import Asked, Figures, Head, Sample
from training.reporting.results import Results
from training.reporting.summary import Failures
from training.reporting.trained import Trained
from training.rollouts.setting import setting_of


@dataclass(frozen=True)
class Comparison:
    """A command line, and what it opened."""

    args: argparse.Namespace
    profile: Profile
    dataset: Dataset
    console: Console

    @cached_property
    def questions(self) -> Sequence[Question]:
        """Those that are asked, in their order."""
        found = interleaved(self.dataset.questions(self.args.split), self.args.seed)
        return found[: self.args.questions]

    @asynccontextmanager
    async def arms(self) -> AsyncIterator[tuple[list[Arm], list[tuple[str, Trained]]]]:
        """The ways of answering, and the routers among them, by label.

        Raises ConfigError if there are none, or one comes twice, and as `opened` and `nearest`.
        """
        args = self.args
        arms: list[Arm] = list(baselines(args.baselines))
        async with AsyncExitStack() as stack:
            entrants = await self._entrants(stack)
            for each in entrants:
                for note in each.notes(args.cost_weights, self.dataset.sha256, args.split):
                    self.console.print(note, markup=False)
                arms += each.arms(args.cost_weights)
            if not arms:
                raise ConfigError("nothing to evaluate: name a --router, or --baselines")
            names = [arm.name for arm in arms]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ConfigError(
                    f"{', '.join(twice)}: named twice: a --router gets a name by NAME=FOLDER"
                )
            yield arms, [(each.label, each.trained) for each in entrants]

    async def _entrants(self, stack: AsyncExitStack) -> list[Entrant]:
        strategy = self.args.strategy
        found = [await opened(text, self.profile, strategy, stack) for text in self.args.router]
        if self.args.nearest is not None:
            file = self.args.nearest
            found.append(nearest(file, self.dataset, strategy, self.profile, self.questions))
        return found

    def setting(self) -> dict[str, object]:
        """What the results depend on. Verdicts name their judge, and are not among it."""
        return setting_of(
            self.profile,
            self.dataset,
            dataset_name=self.args.dataset,
            split=self.args.split,
            strategy=self.args.strategy,
            max_tokens=self.args.max_tokens,
        )

    async def answer(self, arms: Sequence[Arm], results: Results) -> tuple[Failures, Failures]:
        """Answers what has no answer, and has judged what has no verdict.

        Gives the questions that each way of answering failed on, and those that the judge did.
        """
        answers, verdicts = self._todo(arms, results)
        count = len(self.questions) * len(arms)
        self.console.print(f"{count - len(answers)} of {count} answers are there")
        if verdicts:
            self.console.print(f"{len(verdicts)} of them have no verdict of this judge")
        if not answers and not verdicts:
            return {}, {}
        live = live_options(self.args)
        async with open_walker(
            live,
            [question for _, question in answers],
            profile=self.profile,
            dataset=self.dataset,
            strategy=self.args.strategy,
            max_tokens=self.args.max_tokens,
        ) as (walker, _):
            await asyncio.to_thread(self._build, results, walker.models.encoder.tokens)
            answering = Answering(
                walker=walker,
                results=results,
                code=code_hash(),
                grader=grader(self.args.judge, walker),
                slots=asyncio.Semaphore(live.concurrency),
                console=self.console,
            )
            await answering.run(answers, verdicts)
            return answering.failures, answering.unjudged

    def _todo(self, arms: Sequence[Arm], results: Results) -> tuple[Todo, Todo]:
        """What has to be answered, and what is answered and has to be judged. Raises ConfigError
        for a judge that the profile lacks."""
        judge = None if self.args.judge is None else judge_name(self.args.judge, self.profile)
        answers: list[tuple[Arm, Question]] = []
        verdicts: list[tuple[Arm, Question]] = []
        for question in self.questions:
            for arm in arms:
                if not results.has(arm.name, question.id):
                    answers.append((arm, question))
                elif judge and judge not in results.get(arm.name, question.id).verdicts:
                    verdicts.append((arm, question))
        return answers, verdicts

    def _build(self, results: Results, tokens: TokenCounter) -> None:
        """Puts down what ingesting takes, of the histories that it is not known of."""
        wanted = {each.history for each in self.questions} - set(results.builds())
        turns = self.dataset.histories()
        shown = track(sorted(wanted), "build costs", console=self.console, disable=not wanted)
        results.add_builds({name: build_of(turns[name], self.profile, tokens) for name in shown})

    def figures(self, results: Results, arms: Sequence[Arm]) -> Figures:
        """Of these ways of answering, and of those of earlier runs that answered all of these
        questions; the others are told."""
        names = [each.id for each in self.questions]
        wanted = [arm.name for arm in arms]
        found = {arm: results.of(arm, names) for arm in dict.fromkeys([*wanted, *results.arms()])}
        told = {
            arm: held for arm, held in found.items() if arm in wanted or len(held) == len(names)
        }
        for arm in sorted(set(found) - set(told)):
            answered = f"{len(found[arm])} of {len(names)}"
            self.console.print(f"{arm} has {answered} answers, and is not told: name it to add it")
        every = results.add_routers([])
        asked = tuple(Asked(each.id, each.history, each.category) for each in self.questions)
        histories = {each.history for each in self.questions}
        head = Head(
            setting=results.setting,
            routers={label: every[label] for label in routed(told) if label in every},
            sample=Sample(len(self.dataset.questions(self.args.split)), self.args.seed),
            questions=asked,
            builds={name: each for name, each in results.builds().items() if name in histories},
            arms=tuple(told),
        )
        return Figures(head, told)
