"""Episodes from the running pipeline: the walk that serves, with a policy in the router's place.

No path is planned and none is masked: the policy goes where it likes. With recorded models in front
of Triton (`training.rollouts.recording`) only what was never asked before costs a call; so a second
lambda, seed or variant is free wherever it goes a known way.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from budgetmem.errors import BackboneError
from budgetmem.features import router_inputs
from budgetmem.gather import gather_or_cancel
from budgetmem.info import CostWeights
from budgetmem.modules import MODULES
from budgetmem.pipeline import Pipeline
from budgetmem.router import Decision
from budgetmem.tiers import Tier
from budgetmem.types import Budget, Choice
from training.datasets import Question
from training.datasets.sampling import named
from training.models import LiveOptions, open_walker
from training.policies import Observation
from training.ppo import Sampler
from training.rollouts.environment import Chooser, Episodes
from training.rollouts.vectors import recorded_profile
from training.rollouts.walks import FAILURES, Failure, Walker
from training.splits import Splits

T = TypeVar("T")

PLACES = {name: place for place, name in enumerate(MODULES)}

MOST_FAILED = 0.5
"""The share of an update's questions that may fail. Which ones do may depend on the tiers that were
chosen: what is left then tells less and less of what the policy would come to."""

ANY_COST_WEIGHT = CostWeights(0.0, math.inf)


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
    cost_weights: CostWeights = ANY_COST_WEIGHT

    def of(self, strategy: str) -> Acting:
        """Itself."""
        return self

    async def choose(self, decisions: Sequence[Decision]) -> Sequence[Choice]:
        """The policy's choice of each decision, in one call."""
        seen = Observation.join(
            [observation(each, self.dimension, self.features) for each in decisions]
        )
        masked = torch.tensor([[tier in each.masked for tier in Tier] for each in decisions])
        # If no tier fits, the pipeline runs its floor, and calls it Low. Nothing is chosen there:
        # with one tier open nothing is learned of it.
        masked[masked.all(1), Tier.LOW] = False
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
    left out of the episodes: it is no reward of 0.
    """

    walker: Walker
    questions: Sequence[Question]
    dimension: int
    features: Sequence[str]
    loop: asyncio.AbstractEventLoop
    concurrency: int = 6

    def walk(
        self,
        places: NDArray[np.int64],
        cost_weights: NDArray[np.float64],
        choose: Chooser,
        random: np.random.Generator,
    ) -> Episodes:
        """Episodes of the places whose models did not fail, in order.

        Walks overtake each other. So that what one draws does not depend on that, a Sampler gets a
        seed for each of them, drawn from `random`; any other `choose` has to do without. Raises
        BackboneError if more than `MOST_FAILED` of the questions fail.
        """
        seeds = random.integers(2**63, size=len(places)).tolist()
        if isinstance(choose, Sampler):
            choosers: list[Chooser] = [choose.seeded(seed) for seed in seeds]
        else:
            choosers = [choose] * len(places)
        return _on(self.loop, self._walk(places, cost_weights, choosers))

    async def _walk(
        self,
        places: NDArray[np.int64],
        cost_weights: NDArray[np.float64],
        choosers: Sequence[Chooser],
    ) -> Episodes:
        slots = asyncio.Semaphore(self.concurrency)
        each = zip(places.tolist(), cost_weights.tolist(), choosers, strict=True)
        walked = await gather_or_cancel(
            [
                self._one(self.questions[place], weight, choose, slots)
                for place, weight, choose in each
            ]
        )
        ended = [one for one in walked if isinstance(one, _Ended)]
        failed = [one for one in walked if not isinstance(one, _Ended)]
        if len(failed) > MOST_FAILED * len(walked):
            raise BackboneError(
                f"{len(failed)} of {len(walked)} questions could not be walked, the first one "
                f"because: {failed[0]}"
            )
        return _episodes(ended)

    async def _one(
        self, question: Question, weight: float, choose: Chooser, slots: asyncio.Semaphore
    ) -> _Ended | Failure:
        """One walk, or why it failed."""
        walker = self.walker
        acting = Acting(choose, self.dimension, self.features)
        pipeline = Pipeline(walker.profile, walker.models, walker.retriever, acting)
        request = replace(walker.request(question), budget=Budget(cost_weight=weight))
        async with slots:
            try:
                answer = await pipeline.answer(request)
            except FAILURES as exc:
                return exc
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
    questions = named(dataset.questions(str(setting["split"])), splits.training.questions)
    opened = open_walker(
        options,
        questions,
        profile=recorded_profile(setting),
        dataset=dataset,
        strategy=str(setting["strategy"]),
        max_tokens=int(setting["max_tokens"]),
    )
    with _loop() as loop:
        # Whatever of it was opened when Ctrl-C came is on the stack, or has closed itself.
        stack = AsyncExitStack()
        try:
            walker, _ = _on(loop, stack.enter_async_context(opened))
            yield LiveEnvironment(
                walker=walker,
                questions=questions,
                dimension=splits.training.dimension,
                features=splits.features,
                loop=loop,
                concurrency=options.concurrency,
            )
        finally:
            _on(loop, stack.aclose())


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own. At the end nothing is left running on it."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="models")
    thread.start()
    try:
        yield loop
    finally:
        try:
            _on(loop, _end_all())
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _end_all() -> None:
    """Cancels and awaits all other tasks of the loop, and closes its asynchronous generators."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


def _on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives, on the loop of another thread.

    If the waiting is interrupted (Ctrl-C), the work is cancelled and waited for before that goes
    on: it may have models to stop. A second Ctrl-C does not wait.
    """
    begun: list[asyncio.Task[T]] = []
    ended = Event()

    def begin() -> None:
        task = loop.create_task(work)
        task.add_done_callback(lambda _: ended.set())
        begun.append(task)

    def cancel() -> None:
        if begun:
            begun[0].cancel()
        else:  # the loop keeps the order of its calls: it will not begin any more
            work.close()
            ended.set()

    try:
        loop.call_soon_threadsafe(begin)
        ended.wait()
    except BaseException:
        loop.call_soon_threadsafe(cancel)
        ended.wait()
        raise
    return begun[0].result()


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
