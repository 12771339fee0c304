"""Episodes from the running pipeline: the walk that serves, with a policy in the router's place.

No path is planned and none is masked: the policy goes where it likes. With recorded models in front
of Triton (`training.recording`) only what was never asked before costs a call; so a second lambda,
seed or variant is free wherever it goes a known way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from budgetmem.config import load_profile
from budgetmem.errors import BackboneError, InvalidInput
from budgetmem.features import router_inputs
from budgetmem.modules import MODULES
from budgetmem.pipeline import Pipeline
from budgetmem.router import Decision
from budgetmem.tiers import Tier
from budgetmem.types import Budget, Choice
from training.datasets import Question
from training.environment import Chooser, Episodes
from training.models import LiveOptions, open_walker
from training.policies import Observation
from training.splits import Splits
from training.walks import Walker

T = TypeVar("T")

PLACES = {name: place for place, name in enumerate(MODULES)}


@dataclass
class Acting:
    """A router that lets a policy choose, and remembers on what it chose, by module."""

    choose_tiers: Chooser
    dimension: int
    features: Sequence[str]
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
        seen = Observation.join(
            [observation(each, self.dimension, self.features) for each in decisions]
        )
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

    `dimension` and `features` say what a policy sees. The models belong to `loop`, which runs in
    another thread than `walk`. A question whose models fail even after the recording's retries is
    left out of the episodes and counted in `failures`: it is no reward of 0.
    """

    walker: Walker
    questions: Sequence[Question]
    dimension: int
    features: Sequence[str]
    loop: asyncio.AbstractEventLoop
    concurrency: int = 6
    failures: list[str] = field(default_factory=list)

    def walk(
        self,
        places: NDArray[np.int64],
        cost_weights: NDArray[np.float64],
        choose: Chooser,
        random: np.random.Generator,
    ) -> Episodes:
        """Episodes of the places whose models did not fail, in order. All of the pipeline is free
        to choose: nothing is drawn from `random`.

        Raises BackboneError if every question fails.
        """
        return _on(self.loop, self._walk(places, cost_weights, choose))

    async def _walk(
        self, places: NDArray[np.int64], cost_weights: NDArray[np.float64], choose: Chooser
    ) -> Episodes:
        slots = asyncio.Semaphore(self.concurrency)
        pairs = zip(places.tolist(), cost_weights.tolist(), strict=True)
        walked = await asyncio.gather(
            *(self._one(self.questions[place], weight, choose, slots) for place, weight in pairs)
        )
        return _episodes([each for each in walked if each is not None])

    async def _one(
        self, question: Question, weight: float, choose: Chooser, slots: asyncio.Semaphore
    ) -> _Ended | None:
        """One walk; None if its models failed."""
        walker = self.walker
        acting = Acting(choose, self.dimension, self.features)
        pipeline = Pipeline(walker.profile, walker.models, walker.retriever, acting)
        request = replace(walker.request(question), budget=Budget(cost_weight=weight))
        async with slots:
            try:
                answer = await pipeline.answer(request)
            except BackboneError:
                self.failures.append(question.id)
                return None
        score = walker.dataset.score(question, answer.text)
        return _Ended(acting, score, answer.receipt.total.cost_usd, weight)


@dataclass(frozen=True)
class _Ended:
    """A walk at its end."""

    acting: Acting
    score: float
    cost_usd: float
    cost_weight: float


def _episodes(ended: Sequence[_Ended]) -> Episodes:
    if not ended:
        raise BackboneError("no question could be walked: are the models there?")
    acted = [each.acting for each in ended]
    return Episodes(
        seen=Observation.join([each.seen[name] for name in MODULES for each in acted]),
        masked=torch.stack([torch.cat([each.masked[name] for each in acted]) for name in MODULES]),
        tiers=torch.stack([torch.cat([each.tiers[name] for each in acted]) for name in MODULES]),
        scores=np.array([each.score for each in ended]),
        costs=np.array([each.cost_usd for each in ended]),
        cost_weights=np.array([each.cost_weight for each in ended]),
    )


@contextmanager
def live(options: LiveOptions, splits: Splits) -> Iterator[LiveEnvironment]:
    """The training questions of `splits`, to be walked on a live Triton while the block lasts.

    They are asked as they were when they were recorded: same profile, strategy and retrieval.
    Raises as `training.models.open_walker`, and InvalidInput for questions that the dataset lacks.
    """
    setting, dataset = splits.setting, splits.dataset
    asked = {q.id: q for q in dataset.questions(str(setting["split"]))}
    if missing := [name for name in splits.training.questions if name not in asked]:
        raise InvalidInput("outcomes", f"has a question that the dataset lacks: {missing[0]}")
    questions = [asked[name] for name in splits.training.questions]
    opened = open_walker(
        options,
        questions,
        profile=load_profile(str(setting["profile"])),
        dataset=dataset,
        strategy=str(setting["strategy"]),
        max_tokens=int(setting["max_tokens"]),
    )
    with _loop() as loop:
        walker, _ = _on(loop, opened.__aenter__())
        try:
            yield LiveEnvironment(
                walker=walker,
                questions=questions,
                dimension=splits.training.dimension,
                features=splits.features,
                loop=loop,
                concurrency=options.concurrency,
            )
        finally:
            _on(loop, opened.__aexit__(None, None, None))


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="models")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(work, loop).result()


def observation(decision: Decision, dimension: int, features: Sequence[str]) -> Observation:
    """One decision as a policy sees it, a single row."""
    query, state, numbers = router_inputs(decision.state, decision.stage, dimension, features)
    return Observation(
        query=torch.from_numpy(query).unsqueeze(0),
        state=torch.from_numpy(state).unsqueeze(0),
        features=torch.from_numpy(numbers).unsqueeze(0),
        module=torch.tensor([PLACES[decision.module]]),
        cost_weight=torch.tensor([decision.cost_weight], dtype=torch.float32),
    )


def _choice(tier: int, decision: Decision) -> Choice:
    low, mid, high = (float(tier == each) for each in Tier)
    return Choice(Tier(tier), (low, mid, high), decision.masked)
