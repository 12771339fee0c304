"""Episodes from the running pipeline: the walk that serves, with a policy in the router's place.

With recorded models in front of Triton (`training.recording`) only what was never asked before
costs a call; so a second lambda, seed or variant is free wherever it goes a known way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from budgetmem.backbone import Vectors
from budgetmem.errors import BackboneError
from budgetmem.features import observe, state_chunks
from budgetmem.modules import MODULES
from budgetmem.pipeline import Pipeline
from budgetmem.router import Decision
from budgetmem.tiers import Tier
from budgetmem.types import Answer, Budget, Choice
from budgetmem.vectors import mean_direction
from training.datasets.base import Question
from training.environment import Chooser, Episodes
from training.policies import Observation
from training.walks import Walker

PLACES = {name: place for place, name in enumerate(MODULES)}


@dataclass
class Acting:
    """A router that lets a policy choose, and remembers on what it chose, by module."""

    choose_tiers: Chooser
    dimension: int
    seen: dict[str, Observation] = field(default_factory=dict)
    masked: dict[str, Tensor] = field(default_factory=dict)
    tiers: dict[str, Tensor] = field(default_factory=dict)
    version: str = "training"
    uses_cost_weight: bool = True

    def of(self, strategy: str) -> Acting:
        """Itself."""
        return self

    async def choose(self, decisions: Sequence[Decision]) -> Sequence[Choice]:
        """The policy's choice of each decision, in one call."""
        seen = Observation.join([observation(each, self.dimension) for each in decisions])
        masked = torch.tensor([[tier in each.masked for tier in Tier] for each in decisions])
        chosen = self.choose_tiers(seen, masked)
        for row, decision in enumerate(decisions):
            only = torch.tensor([row])
            self.seen[decision.module] = seen.rows(only)
            self.masked[decision.module] = masked[only]
            self.tiers[decision.module] = chosen[only]
        return [_choice(int(tier), each) for tier, each in zip(chosen, decisions, strict=True)]


@dataclass(frozen=True)
class LiveEnvironment:
    """Questions to walk by the pipeline itself, `concurrency` at once.

    It has the interface of `training.environment.RecordedEnvironment`. The models belong to `loop`,
    which runs in a thread of its own. A question whose models fail
    even after the recording's retries is left out of the episodes and counted in `failures`: it is
    no reward of 0.
    """

    walker: Walker
    questions: Sequence[Question]
    dimension: int
    loop: asyncio.AbstractEventLoop
    concurrency: int = 4
    failures: list[str] = field(default_factory=list)

    def walk(
        self,
        places: NDArray[np.int64],
        cost_weight: Tensor,
        choose: Chooser,
        random: np.random.Generator,
    ) -> Episodes:
        """Walks the questions at `places` [n], with lambdas [n].

        From another thread than the loop's. Raises BackboneError if every question fails.
        """
        walking = self._walk(places, cost_weight, choose)
        return asyncio.run_coroutine_threadsafe(walking, self.loop).result()

    async def _walk(
        self, places: NDArray[np.int64], cost_weight: Tensor, choose: Chooser
    ) -> Episodes:
        slots = asyncio.Semaphore(self.concurrency)

        async def one(place: int, weight: float) -> tuple[Acting, float, float] | None:
            question = self.questions[place]
            acting = Acting(choose, self.dimension)
            async with slots:
                try:
                    answer = await self._answer(question, weight, acting)
                except BackboneError:
                    self.failures.append(question.id)
                    return None
            score = self.walker.dataset.score(question, answer.text)
            return acting, score, answer.receipt.total.cost_usd

        pairs = zip(places.tolist(), cost_weight.tolist(), strict=True)
        walked = await asyncio.gather(*(one(place, weight) for place, weight in pairs))
        done = [each for each in walked if each is not None]
        if not done:
            raise BackboneError("no question could be walked: see the failures before this one")
        acted = [acting for acting, _, _ in done]
        return Episodes(
            seen=Observation.join([each.seen[name] for name in MODULES for each in acted]),
            masked=torch.stack(
                [torch.cat([each.masked[name] for each in acted]) for name in MODULES]
            ),
            tiers=torch.stack(
                [torch.cat([each.tiers[name] for each in acted]) for name in MODULES]
            ),
            scores=np.array([score for _, score, _ in done]),
            costs=np.array([cost for _, _, cost in done]),
        )

    async def _answer(self, question: Question, weight: float, acting: Acting) -> Answer:
        walker = self.walker
        pipeline = Pipeline(walker.profile, walker.models, walker.retriever, acting)
        request = walker.request(question)
        return await pipeline.answer(replace(request, budget=Budget(cost_weight=weight)))


def observation(decision: Decision, dimension: int) -> Observation:
    """One decision as a policy sees it, a single row; zeros for vectors that were not made."""
    state = decision.state
    held = [
        state.vectors[chunk.id]
        for chunk in state_chunks(state.work, decision.stage)
        if chunk.id in state.vectors
    ]
    nothing: Vectors = np.zeros(dimension, dtype=np.float32)
    query = nothing if state.query is None else state.query
    return Observation(
        query=torch.from_numpy(query).unsqueeze(0),
        state=torch.from_numpy(mean_direction(held) if held else nothing).unsqueeze(0),
        features=torch.from_numpy(observe(state)).unsqueeze(0),
        module=torch.tensor([PLACES[decision.module]]),
        cost_weight=torch.tensor([decision.cost_weight], dtype=torch.float32),
    )


def _choice(tier: int, decision: Decision) -> Choice:
    low, mid, high = (float(tier == each) for each in Tier)
    return Choice(Tier(tier), (low, mid, high), decision.masked)
