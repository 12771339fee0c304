"""Runs one module on one rung, under a ledger; falls to the rung below when a rung fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from budgetmem.backbone import Caller, Completion, Models
from budgetmem.breakers import Breakers
from budgetmem.calls import Call, Calls
from budgetmem.config import Profile
from budgetmem.errors import (
    BackboneUnavailable,
    BudgetMemError,
    BudgetTooSmall,
    DeadlineExceeded,
    InvalidInput,
    ReplyError,
)
from budgetmem.guarded import Retries
from budgetmem.ledger import Bound, Ledger
from budgetmem.loop_turns import LoopTurns
from budgetmem.modules.base import Module, Tools
from budgetmem.modules.summary import WORDS
from budgetmem.prices import PriceBook
from budgetmem.prompting import STYLES, Prompt, answer_prompt, module_prompt, reply_schema
from budgetmem.reasons import COST, DEADLINE, REPLY, TIME, UNAVAILABLE
from budgetmem.tiers import FLOOR, FREE, Apply, Ask, Rung, Tier
from budgetmem.timeouts import within
from budgetmem.types import Choice, Fallback, Finding, Step, Usage, Workspace

T = TypeVar("T")

logger = logging.getLogger(__name__)

SPECIALIST_PASSES = 8
"""How often a specialist rung may embed its chunks, for its bound: once as lines, and again within
findings, which repeat a few times. An estimate: a rung that reads more has to find it affordable
as it goes, and is given up if it is not."""

LLM_TOKENS = 2
"""LLM tokens per token of the encoder's tokenizer, or per word of a memory, at most: escaping and
headings included."""


@dataclass
class Task:
    """One module at work: the chunks it reads and the strategy's rungs. Calls are made once."""

    stage: str
    module: Module
    work: Workspace
    cells: Mapping[Tier, Rung]
    calls: dict[Rung, Call] = field(default_factory=dict)
    _prompts: dict[str, Prompt] = field(default_factory=dict)

    def on(self, tier: Tier) -> Task:
        """The same task, with the same calls, on a tier."""
        return replace(self, work=replace(self.work, tier=tier))

    def prompt(self, style: str) -> Prompt:
        """Rungs of one style differ in the backbone alone, and share the rendered prompt."""
        if style not in self._prompts:
            self._prompts[style] = module_prompt(self.module, style, self.work)
        return self._prompts[style]


@dataclass
class _Tally:
    """What the attempts of one step added up to."""

    usage: Usage = field(default_factory=Usage)
    fallbacks: list[Fallback] = field(default_factory=list)
    completion: Completion | None = None

    def give_up(self, rung: Rung, failure: BudgetMemError, time_limit: str) -> None:
        """Notes that a rung is given up for the one below, and why."""
        reasons = {
            ReplyError: f"{REPLY}: {failure}",
            DeadlineExceeded: time_limit,
            BudgetTooSmall: COST,
            BackboneUnavailable: UNAVAILABLE,
        }
        reason = next(why for kind, why in reasons.items() if isinstance(failure, kind))
        self.fallbacks.append(Fallback(str(rung), reason))
        if isinstance(failure, ReplyError):  # of a call that went well until it was read
            self.usage += Usage(failed_calls=1)


@dataclass
class _Spent:
    """What is set aside for one attempt at a rung, and what it has used."""

    bound: Bound
    usage: Usage = field(default_factory=Usage)

    def fail(self, *, reached: bool = True) -> None:
        """A call was cut off, or broke. What `reached` its model is charged at the bound, since
        that may read and write to the end."""
        cost = self.bound.cost_usd if reached else self.usage.cost_usd
        self.usage = replace(self.usage, cost_usd=cost) + Usage(calls=1, failed_calls=1)


class Rungs:
    """The rungs of a tenant's requests: a profile's models and prices.

    With `breakers`, a rung whose model is away is masked or given up for the rung below, and the
    receipt says so. Without them (None) that is an error: who measures tiers wants no other one.
    """

    def __init__(
        self,
        profile: Profile,
        models: Models,
        prices: PriceBook,
        tenant: str = "",
        turns: LoopTurns | None = None,
        *,
        breakers: Breakers | None = None,
        retries: Retries | None = None,
    ) -> None:
        self._profile = profile
        self._models = models
        self._prices = prices
        self._tenant = tenant
        self._turns = turns or LoopTurns()
        self._breakers = breakers or Breakers()
        self._retries = retries or Retries()
        away = () if breakers is None else (BackboneUnavailable,)
        self._given_up = (ReplyError, DeadlineExceeded, BudgetTooSmall, *away)
        self._calls = Calls(profile, models, prices)
        self._limits = {
            "filter": profile.generation.filter,
            "summary": profile.generation.summary,
        }

    def masked(self, task: Task, ledger: Ledger, share: int) -> dict[Tier, str]:
        """The tiers that do not fit what is left, or the backbone's context, and why."""
        reasons = {
            tier: self._refusal(task, rung, ledger, share) for tier, rung in task.cells.items()
        }
        return {tier: reason for tier, reason in reasons.items() if reason is not None}

    async def run(
        self, task: Task, choice: Choice, ledger: Ledger
    ) -> tuple[Step, tuple[Finding, ...]]:
        """Runs the chosen rung, or the first below it that fits and succeeds; the floor always
        does. Raises BackboneError if a model server fails, and BackboneUnavailable if one is away
        and there are no breakers."""
        start = ledger.elapsed_ms
        tally = _Tally()
        rung, findings = await self._descend(task, choice, ledger, tally)
        completion = tally.completion
        step = Step(
            module=task.module.name,
            choice=choice,
            rung=str(rung),
            usage=tally.usage + Usage(milliseconds=ledger.elapsed_ms - start),
            fallbacks=tuple(tally.fallbacks),
            mean_logprob=None if completion is None else completion.mean_logprob,
            finish_reason=None if completion is None else completion.finish_reason,
        )
        return step, findings

    async def answer(self, prompt: Prompt, ledger: Ledger) -> tuple[str, Usage]:
        """One call of the answerer. Raises DeadlineExceeded when time is up, BudgetTooSmall if the
        call does not fit what is left."""
        start, tally = ledger.elapsed_ms, _Tally()
        try:
            completion = await self._ask(self._calls.answer(prompt), ledger, tally)
        except DeadlineExceeded as exc:
            raise DeadlineExceeded(_passed(ledger, "while answering")) from exc
        return completion.text.strip(), tally.usage + Usage(milliseconds=ledger.elapsed_ms - start)

    def answer_bound(self, query: str, asked_at: datetime | None, retrieved: int) -> Bound:
        """The most that an answer can cost, if at most so many tokens are retrieved for it.

        A memory is no longer than that, or than its number of words allows. Raises InvalidInput if
        the question alone passes the answerer's context.
        """
        call = self._calls.answer(answer_prompt("", Workspace.start(query, (), asked_at)))
        if call.overflow is not None:
            raise InvalidInput("query", f"is too long to be answered ({call.overflow})")
        # The best line is always retrieved, and is as long as chunking lets it be.
        line = self._profile.retrieval.chunking.max_tokens
        memory = LLM_TOKENS * max(retrieved, line, *WORDS.values())
        extra = self._calls.bound(self._profile.answerer, memory, 0)
        return Bound(
            call.bound.cost_usd + extra.cost_usd, call.bound.milliseconds + extra.milliseconds
        )

    async def _descend(
        self, task: Task, choice: Choice, ledger: Ledger, tally: _Tally
    ) -> tuple[Rung, tuple[Finding, ...]]:
        for position, (tier, rung) in enumerate(_ladder(task.cells, choice)):
            refusal = self._refusal(task, rung, ledger, share=1) if position else None
            if refusal is not None:
                tally.fallbacks.append(Fallback(str(rung), refusal))
                continue
            try:
                findings = await self._attempt(task.on(tier), rung, ledger, tally)
            except self._given_up as exc:
                if isinstance(exc, BackboneUnavailable):
                    logger.warning("%s on %s: %s", task.module.name, rung, exc)
                tally.give_up(rung, exc, ledger.time_limit)
            else:
                return rung, findings
        return FLOOR, await self._attempt(task.on(Tier.LOW), FLOOR, ledger, tally)

    async def _attempt(
        self, task: Task, rung: Rung, ledger: Ledger, tally: _Tally
    ) -> tuple[Finding, ...]:
        if isinstance(rung, Apply):
            return await self._apply(task, rung, ledger, tally)
        tally.completion = await self._ask(self._prepared(task, rung), ledger, tally)
        return task.module.parse(tally.completion.text, task.work)

    async def _apply(
        self, task: Task, rung: Apply, ledger: Ledger, tally: _Tally
    ) -> tuple[Finding, ...]:
        models = self._models.bound(self._caller(task.stage, ledger))
        with _reserved(self._apply_bound(task, rung), ledger, tally) as spent:

            def afford(tokens: Mapping[str, int]) -> None:
                spent.bound = ledger.extend(spent.bound, self._read(tokens))

            tools = Tools(models.encoder, models.tagger, afford=afford)
            work = partial(task.module.local[rung.method], task.work, tools)
            try:
                await self._turns.take()
                # The floor asks no model, and is what is left when time is over.
                return await (work() if rung == FLOOR else _in_time(work, ledger))
            finally:
                # What was read before the rung was given up is paid for.
                spent.usage = Usage(
                    input_tokens=sum(tools.tokens.values()),
                    cost_usd=self._read(tools.tokens),
                    calls=len(tools.tokens),
                    cache_hits=tools.cache_hits,
                )

    async def _ask(self, call: Call, ledger: Ledger, tally: _Tally) -> Completion:
        """One LLM call; one that was lost is made again, under a reservation of its own. Raises
        what `_ask_once` raises."""
        for failed in range(1, self._retries.attempts):
            try:
                return await self._ask_once(call, ledger, tally)
            except BackboneUnavailable as exc:
                if not exc.again:
                    raise
                wait = partial(self._retries.wait, failed, exc.retry_after_s or 0.0)
            try:
                await _in_time(wait, ledger)
            except asyncio.TimeoutError as exc:
                raise DeadlineExceeded(_passed(ledger, "before a call")) from exc
        return await self._ask_once(call, ledger, tally)

    async def _ask_once(self, call: Call, ledger: Ledger, tally: _Tally) -> Completion:
        """One LLM call. Raises DeadlineExceeded when time is up, BudgetTooSmall if the call does
        not fit what is left."""
        models = self._models.bound(self._caller(call.stage, ledger))
        generate = partial(models.backbones[call.backbone].generate, call.request)
        with _reserved(call.bound, ledger, tally) as spent:
            completion = await _in_time(generate, ledger)
            spent.usage = Usage(
                input_tokens=completion.input_tokens,
                output_tokens=completion.output_tokens,
                cost_usd=self._prices.cost(
                    call.backbone,
                    completion.input_tokens,
                    completion.output_tokens,
                    completion.cached_tokens,
                ),
                calls=1,
            )
        return completion

    def _caller(self, stage: str, ledger: Ledger) -> Caller:
        return Caller(self._tenant, stage, ledger.started, ledger.deadline)

    def _refusal(self, task: Task, rung: Rung, ledger: Ledger, share: int) -> str | None:
        if isinstance(rung, Apply):
            late = rung != FLOOR and ledger.left_ms <= 0
            bound = self._apply_bound(task, rung)
            return ledger.time_limit if late else ledger.refusal(bound, share)
        if self._breakers.refuses(self._profile.tiers[rung.backbone]):
            return UNAVAILABLE
        call = self._prepared(task, rung)
        return call.overflow or ledger.refusal(call.bound, share)

    def _apply_bound(self, task: Task, rung: Apply) -> Bound:
        if rung in FREE:
            return Bound()
        chunks, encoder = task.module.reads(task.work), self._models.encoder
        tokens = sum(chunk.tokens for chunk in chunks) + encoder.tokens.count(task.work.query)
        characters = sum(len(chunk.text) for chunk in chunks)
        read = {encoder.name: SPECIALIST_PASSES * tokens, self._models.tagger.name: characters}
        return Bound(self._read(read))

    def _read(self, tokens: Mapping[str, int]) -> float:
        """USD of what task models read, by model."""
        return sum(self._prices.cost(model, count) for model, count in tokens.items())

    def _prepared(self, task: Task, rung: Ask) -> Call:
        if rung not in task.calls:
            prompt = task.prompt(rung.style)
            reply = self._limits.get(task.module.name, self._profile.generation.findings)
            task.calls[rung] = self._calls.make(
                task.stage,
                self._profile.tiers[rung.backbone],
                prompt,
                reply + STYLES[rung.style].reasoning_tokens,
                reply_schema(task.module, rung.style, task.work),
            )
        return task.calls[rung]


def _ladder(cells: Mapping[Tier, Rung], choice: Choice) -> list[tuple[Tier, Rung]]:
    """The chosen rung and those below it, best first; nothing but the floor if all are masked."""
    if len(choice.masked) == len(cells):
        return []
    return [(tier, cells[tier]) for tier in reversed(Tier) if tier <= choice.tier]


@contextmanager
def _reserved(bound: Bound, ledger: Ledger, tally: _Tally) -> Iterator[_Spent]:
    """Sets the bound aside for one attempt, and books what that used, however it ends: the same on
    ledger and receipt. Work that still waited for its turn when time was up is free."""
    ledger.reserve(bound)
    spent = _Spent(bound)
    try:
        yield spent
    except asyncio.TimeoutError as exc:
        spent.fail()
        raise DeadlineExceeded(_passed(ledger, "during a call")) from exc
    except BackboneUnavailable as exc:
        spent.fail(reached=exc.reached)
        raise
    finally:
        ledger.settle(spent.bound, spent.usage.cost_usd)
        tally.usage += spent.usage


async def _in_time(work: Callable[[], Awaitable[T]], ledger: Ledger) -> T:
    """What `work` returns. Raises asyncio.TimeoutError if it is cut off, and DeadlineExceeded if
    there is no time to begin it."""
    left_s = ledger.seconds_until(ledger.deadline)
    if left_s is not None and left_s <= 0:
        raise DeadlineExceeded(_passed(ledger, "before a call"))
    return await within(left_s, work())


def _passed(ledger: Ledger, when: str) -> str:
    limit = "the caller's deadline" if ledger.time_limit == DEADLINE else f"budget.{TIME}"
    return f"{limit} passed {when}"
