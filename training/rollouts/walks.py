"""Walks paths of the pipeline for a question, and puts down what they came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from budgetmem.backbone import Models
from budgetmem.config import Profile
from budgetmem.errors import BackboneError, DeadlineExceeded, InvalidInput, Overloaded
from budgetmem.features import State, observe, state_chunks
from budgetmem.finding import Retriever
from budgetmem.gather import gather_or_cancel
from budgetmem.info import CostWeights
from budgetmem.pipeline import ExtractRequest, Pipeline
from budgetmem.router import Decision, FixedRouter, Routers
from budgetmem.stages import STAGES
from budgetmem.types import Answer, Budget, Choice
from training.datasets.base import Dataset, Question
from training.datasets.metrics import evidence_recall
from training.rollouts.outcomes import Leaf, Node, Outcomes
from training.rollouts.paths import DEPTHS, Path, spell, tiers_of

Failure = BackboneError | DeadlineExceeded | Overloaded | InvalidInput
"""Why a question could not be walked (InvalidInput: it is longer than the answerer can read, say):
it is told and counted, and comes to no score."""
FAILURES = (BackboneError, DeadlineExceeded, Overloaded, InvalidInput)


@dataclass
class Watching:
    """A router that takes the pinned tiers, and remembers in which states it was asked."""

    states: dict[str, State] = field(default_factory=dict)
    version: str = "pinned"
    cost_weights: CostWeights | None = None

    def of(self, strategy: str) -> Watching:
        """Itself."""
        return self

    async def choose(self, decisions: Sequence[Decision]) -> Sequence[Choice]:
        """As FixedRouter."""
        self.states.update({decision.stage: decision.state for decision in decisions})
        return await FixedRouter().choose(decisions)


@dataclass(frozen=True)
class Walker:
    """The pipeline that serves, for the questions of one dataset and one strategy.

    `max_tokens` (None: the profile's) is the retrieval budget. Histories were ingested before, for
    `tenant`, under the names that the questions give.
    """

    profile: Profile
    models: Models
    retriever: Retriever
    dataset: Dataset
    strategy: str
    tenant: str
    max_tokens: int | None = None

    async def outcomes(self, question: Question, paths: Sequence[Path]) -> Outcomes:
        """Walks all paths of one question, side by side: they share much of their work.

        When one fails the others are cancelled, and its error is raised.
        """
        walked = await gather_or_cancel([self.walk(question, path) for path in paths])
        nodes: dict[str, Node] = {}
        recall: dict[str, float | None] = {}
        for path, (answer, states) in zip(paths, walked, strict=True):
            letters = spell(path)
            for stage in STAGES:
                nodes[letters[: DEPTHS[stage]]] = _node(states[stage], stage)
            kept = [turn for chunk in answer.memory.chunks for turn in chunk.turn_ids]
            recall[letters[:1]] = evidence_recall(question.evidence, kept)
        return Outcomes(
            question=question.id,
            history=question.history,
            category=question.category,
            nodes=nodes,
            leaves={
                spell(path): self._leaf(question, answer)
                for path, (answer, _) in zip(paths, walked, strict=True)
            },
            recall=recall,
        )

    async def walk(self, question: Question, path: Path) -> tuple[Answer, Mapping[str, State]]:
        """The answer by one path, and the states in which the stages waited for their tiers."""
        router = Watching()
        pipeline = Pipeline(self.profile, self.models, self.retriever, router)
        budget = Budget(tiers=tiers_of(path))
        answer = await pipeline.answer(replace(self.request(question), budget=budget))
        return answer, router.states

    async def chosen(
        self, question: Question, routers: Routers, cost_weights: Sequence[float]
    ) -> Sequence[Path]:
        """The paths that a router takes at these lambdas, each once. Nothing is answered."""
        pipeline = Pipeline(self.profile, self.models, self.retriever, routers)
        request = self.request(question)
        memories = await gather_or_cancel(
            [
                pipeline.extract(replace(request, budget=Budget(cost_weight=weight)))
                for weight in cost_weights
            ]
        )
        taken = [tuple(step.choice.tier for step in each.receipt.steps) for each in memories]
        return list(dict.fromkeys(taken))

    def request(self, question: Question) -> ExtractRequest:
        """The question as the service is asked, without a budget."""
        return ExtractRequest(
            tenant=self.tenant,
            history=question.history,
            query=question.text,
            strategy=self.strategy,
            max_tokens=self.max_tokens,
            asked_at=question.asked_at,
        )

    def _leaf(self, question: Question, answer: Answer) -> Leaf:
        receipt = answer.receipt
        assert receipt.answer is not None  # it was answered
        return Leaf(
            score=self.dataset.score(question, answer.text),
            costs_usd=(
                receipt.retrieval.cost_usd,
                *(step.usage.cost_usd for step in receipt.steps),
                receipt.answer.cost_usd,
            ),
            answer_tokens=receipt.answer.input_tokens,
            fell=tuple(step.module for step in receipt.steps if step.fallbacks),
        )


def _node(state: State, stage: str) -> Node:
    return Node(
        features=tuple(round(float(value), 6) for value in observe(state)),
        chunks=tuple(chunk.id for chunk in state_chunks(state.work, stage)),
    )
