"""The ways of answering a question that an evaluation compares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from budgetmem.dated_chunks import as_found
from budgetmem.errors import ConfigError
from budgetmem.finding import Finder
from budgetmem.ledger import Ledger
from budgetmem.pipeline import ExtractRequest, Pipeline
from budgetmem.prices import PriceBook
from budgetmem.prompting import answer_prompt
from budgetmem.router import FixedRouter, Routers
from budgetmem.rungs import Rungs
from budgetmem.types import Budget, Chunk, Receipt, Usage, Workspace
from training.datasets.base import Question
from training.reporting.arm_names import CHUNK_TOKENS, NO_MEMORY, PLAIN
from training.rollouts.paths import UNIFORM, Path, parse, spell, tiers_of
from training.rollouts.walks import Walker

PLAIN_CHUNKS = (2, 5, 10)


@dataclass(frozen=True)
class Answered:
    """An answer, what it cost, and the turns that it rests on."""

    text: str
    receipt: Receipt
    turn_ids: frozenset[str]


class Arm(Protocol):
    """One way of answering. `name` is its folder's."""

    @property
    def name(self) -> str: ...

    async def answer(self, walker: Walker, question: Question) -> Answered: ...


@dataclass(frozen=True)
class Pinned:
    """The pipeline on the same tiers for every question."""

    path: Path

    @property
    def name(self) -> str:
        return spell(self.path)

    async def answer(self, walker: Walker, question: Question) -> Answered:
        return await _extracted(walker, question, FixedRouter(), Budget(tiers=tiers_of(self.path)))


@dataclass(frozen=True)
class Routed:
    """The pipeline with a trained router, at one lambda."""

    label: str
    routers: Routers
    cost_weight: float

    @property
    def name(self) -> str:
        return f"{self.label}@{self.cost_weight:g}"

    async def answer(self, walker: Walker, question: Question) -> Answered:
        budget = Budget(cost_weight=self.cost_weight)
        return await _extracted(walker, question, self.routers, budget)


@dataclass(frozen=True)
class Plain:
    """What retrieval finds goes to the answerer as it is: `chunks` times CHUNK_TOKENS of it.

    With None it is what the pipeline itself retrieves, in its own budget; with no chunks the
    answerer has no memory at all."""

    chunks: int | None

    @property
    def name(self) -> str:
        if self.chunks is None:
            return PLAIN
        return f"{PLAIN}-{self.chunks}" if self.chunks else NO_MEMORY

    async def answer(self, walker: Walker, question: Question) -> Answered:
        asked = walker.request(question)
        prices = PriceBook.of(walker.profile)
        ledger = Ledger(Budget())
        found, retrieval = await self._retrieved(walker, asked, ledger)
        work = Workspace.start(question.text, found, question.asked_at)
        prompt = answer_prompt(as_found(found), work)
        rungs = Rungs(walker.profile, walker.models, prices, asked.tenant)
        text, usage = await rungs.answer(prompt, ledger)
        receipt = Receipt(
            strategy=self.name,
            router="none",
            steps=(),
            retrieval=retrieval,
            answer=usage,
            total=retrieval + usage,
            retrieved_chunk_ids=tuple(chunk.id for chunk in found),
            kept_chunk_ids=tuple(chunk.id for chunk in found),
        )
        return Answered(text, receipt, _turns(found))

    async def _retrieved(
        self, walker: Walker, asked: ExtractRequest, ledger: Ledger
    ) -> tuple[tuple[Chunk, ...], Usage]:
        if self.chunks == 0:
            return (), Usage()
        finder = Finder(
            walker.profile, walker.models, PriceBook.of(walker.profile), walker.retriever
        )
        if self.chunks is not None:
            asked = replace(asked, max_tokens=self.chunks * CHUNK_TOKENS)
        found, usage, _ = await finder.find(asked, ledger)
        return found.chunks, usage


BASELINES: tuple[Arm, ...] = (
    Plain(0),
    Plain(None),
    *(Plain(chunks) for chunks in PLAIN_CHUNKS),
    *map(Pinned, UNIFORM),
)
"""What `--baselines all` runs. All the others are made of these and of routers afterwards."""


def baseline(name: str) -> Arm:
    """The arm of a name: one of BASELINES, `plain-K`, or a path such as `LMHLM`.

    Raises ConfigError for anything else.
    """
    known = {arm.name: arm for arm in BASELINES}
    if name in known:
        return known[name]
    if re.fullmatch(r"plain-[1-9]\d{0,2}", name):
        return Plain(int(name.removeprefix("plain-")))
    try:
        return Pinned(parse(name))
    except ValueError as exc:
        raise ConfigError(
            f"--baselines: {name!r} is not one of {', '.join(known)}, nor plain-K for K chunks, "
            "nor five tiers such as LMHLM"
        ) from exc


def baselines(wanted: str) -> tuple[Arm, ...]:
    """`all`, `none`, or names with commas between them. Raises ConfigError as `baseline` does."""
    if wanted == "all":
        return BASELINES
    return () if wanted == "none" else tuple(map(baseline, wanted.split(",")))


async def _extracted(
    walker: Walker, question: Question, routers: Routers, budget: Budget
) -> Answered:
    pipeline = Pipeline(walker.profile, walker.models, walker.retriever, routers)
    answer = await pipeline.answer(replace(walker.request(question), budget=budget))
    return Answered(answer.text, answer.receipt, _turns(answer.memory.chunks))


def _turns(chunks: Sequence[Chunk]) -> frozenset[str]:
    return frozenset(turn for chunk in chunks for turn in chunk.turn_ids)
