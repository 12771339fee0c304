"""Answers questions in several ways, has answers judged, and keeps each result at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rich.console import Console

from budgetmem.errors import ReplyError
from budgetmem.gather import gather_or_cancel
from budgetmem.tiers import Tier
from training.arms import Answered, Arm
from training.commands import work_bars
from training.datasets.base import Question
from training.datasets.metrics import evidence_recall
from training.judge import CALL_FAILURES, Case, Judge, judge_name
from training.reporting.results import Costs, Result, Results, receipt_of
from training.rollouts.paths import LETTERS
from training.rollouts.walks import FAILURES, Walker

Todo = Sequence[tuple[Arm, Question]]


@dataclass(frozen=True)
class Grader:
    """A judge, and the name that its verdicts are kept under."""

    name: str
    judge: Judge


def grader(backbone: str | None, walker: Walker) -> Grader | None:
    """By a backbone of the walker's profile, None for none. Raises ConfigError for one that the
    profile lacks."""
    if backbone is None:
        return None
    name = judge_name(backbone, walker.profile)
    template = walker.profile.backbones[backbone].template
    return Grader(name, Judge(walker.models.backbones[backbone], template))


@dataclass(frozen=True)
class Answering:
    """Answers, so many at once, and keeps each as soon as it is there.

    `failures` names the questions that each way of answering failed on, `unjudged` those on whose
    answers the judge did. `code` is the hash of what runs here.
    """

    walker: Walker
    results: Results
    code: str
    grader: Grader | None
    slots: asyncio.Semaphore
    console: Console
    failures: dict[str, list[str]] = field(default_factory=dict)
    unjudged: dict[str, list[str]] = field(default_factory=dict)

    async def run(self, answers: Todo, verdicts: Todo) -> None:
        """All of them; `verdicts` are of answers that are there."""
        with work_bars(self.console) as progress:
            bar = progress.add_task("answers", total=len(answers) + len(verdicts))

            async def one(arm: Arm, question: Question, *, answered: bool) -> None:
                step = self._judge_again if answered else self._keep
                async with self.slots:
                    told = await step(arm, question)
                progress.advance(bar)
                if told is not None or not self.console.is_terminal:
                    line = f"{arm.name} {question.id}: {told or 'done'}"
                    self.console.print(line, markup=False)

            await gather_or_cancel(
                [one(*each, answered=False) for each in answers]
                + [one(*each, answered=True) for each in verdicts]
            )

    async def _keep(self, arm: Arm, question: Question) -> str | None:
        """Why there is no answer, or no verdict; None if there is."""
        try:
            answered = await arm.answer(self.walker, question)
        except FAILURES as exc:
            self.failures.setdefault(arm.name, []).append(question.id)
            return str(exc)
        result = self._result(question, answered)
        # It is kept before it is judged: what was answered is not answered again.
        self.results.put(arm.name, result)
        return await self._judge(arm, question, result)

    async def _judge_again(self, arm: Arm, question: Question) -> str | None:
        return await self._judge(arm, question, self.results.get(arm.name, question.id))

    async def _judge(self, arm: Arm, question: Question, result: Result) -> str | None:
        if self.grader is None:
            return None
        case = Case(question.text, question.gold_answers, result.prediction)
        score, why = None, None
        try:
            score = (await self.grader.judge.grade(case)).score
        except CALL_FAILURES as exc:
            self.unjudged.setdefault(arm.name, []).append(question.id)
            return f"no verdict: {exc}"
        except ReplyError as exc:
            why = f"no verdict, and none when asked again: {exc}"
        verdicts = {**result.verdicts, self.grader.name: score}
        self.results.put(arm.name, replace(result, verdicts=verdicts))
        return why

    def _result(self, question: Question, answered: Answered) -> Result:
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
            verdicts={},
            costs_usd=Costs(receipt.total.cost_usd - answer.cost_usd, answer.cost_usd),
            query_tokens=spent - answer.input_tokens - answer.output_tokens,
            answer_tokens=answer.input_tokens,
            tiers="".join(LETTERS[Tier(step.choice.tier)] for step in receipt.steps),
            fell=tuple(step.module for step in receipt.steps if step.fallbacks),
            milliseconds=receipt.total.milliseconds,
            code=self.code,
            receipt=receipt_of(receipt),
        )
