"""Runs one module on one rung, under a ledger; falls to the rung below when a rung fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from budgetmem.backbone import Caller, Completion, Models
from budgetmem.breakers import Breakers
from budgetmem.calls import Call, Calls
from budgetmem.config import Profile
from budgetmem.errors import BackboneUnavailable, BudgetTooSmall, DeadlineExceeded, ReplyError
from budgetmem.ledger import Bound, Ledger
from budgetmem.loop_turns import LoopTurns
from budgetmem.modules.base import Module, Tools
from budgetmem.prices import PriceBook
from budgetmem.prompting import STYLES, Prompt, answer_prompt, module_prompt, reply_schema
from budgetmem.reasons import COST, DEADLINE, REPLY, TIME, UNAVAILABLE
from budgetmem.tiers import FLOOR, Apply, Ask, Rung, Tier
from budgetmem.types import Choice, Fallback, Finding, Step, Usage, Workspace

logger = logging.getLogger(__name__)

SPECIALIST_PASSES = 8
"""How often a specialist rung may embed its chunks, for its bound: once as lines, and again within
findings, which repeat a few times. An estimate: a rung that reads more has to find it affordable
as it goes, and is given up if it is not."""

ENCODER_TO_LLM_TOKENS = 2
"""LLM tokens per token of the encoder's tokenizer, at most: escaping and headings included."""


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
    ) -> None:
        self._profile = profile
        self._models = models
        self._prices = prices
        self._tenant = tenant
        self._turns = turns or LoopTurns()
        self._breakers = breakers or Breakers()
        self._given_up = () if breakers is None else (BackboneUnavailable,)
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
        call = self._calls.answer(prompt)
        start = ledger.elapsed_ms
        completion, usage = await self._ask(call, ledger)
        if completion is None:
            raise DeadlineExceeded(_passed(ledger, "while answering"))
        return completion.text.strip(), usage + Usage(milliseconds=ledger.elapsed_ms - start)

    def answer_bound(self, query: str, memory_tokens: int) -> Bound:
        """The most that an answer can cost, for a memory of at most `memory_tokens`."""
        call = self._calls.answer(answer_prompt("", Workspace.start(query, ())))
        extra = self._calls.bound(self._profile.answerer, ENCODER_TO_LLM_TOKENS * memory_tokens, 0)
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
            except ReplyError as exc:
                tally.fallbacks.append(Fallback(str(rung), f"{REPLY}: {exc}"))
                tally.usage += Usage(failed_calls=1)
            except DeadlineExceeded:
                tally.fallbacks.append(Fallback(str(rung), ledger.time_limit))
            except BudgetTooSmall:
                tally.fallbacks.append(Fallback(str(rung), COST))
            except self._given_up as exc:
                logger.warning("%s on %s: %s", task.module.name, rung, exc)
                tally.fallbacks.append(Fallback(str(rung), UNAVAILABLE))
                tally.usage += Usage(failed_calls=1)
            else:
                return rung, findings
        return FLOOR, await self._attempt(task.on(Tier.LOW), FLOOR, ledger, tally)

    async def _attempt(
        self, task: Task, rung: Rung, ledger: Ledger, tally: _Tally
    ) -> tuple[Finding, ...]:
        if isinstance(rung, Apply):
            return await self._apply(task, rung, ledger, tally)
        completion, usage = await self._ask(self._prepared(task, rung), ledger)
        tally.usage += usage
        tally.completion = completion
        if completion is None:
            raise DeadlineExceeded(_passed(ledger, "during a call"))
        return task.module.parse(completion.text, task.work)

    async def _apply(
        self, task: Task, rung: Apply, ledger: Ledger, tally: _Tally
    ) -> tuple[Finding, ...]:
        models = self._models.bound(self._caller(task.stage, ledger))
        reserved = self._apply_bound(task, rung)

        def afford(tokens: Mapping[str, int]) -> None:
            nonlocal reserved
            reserved = ledger.extend(reserved, self._read(tokens))

        tools, cut_off = Tools(models.encoder, models.tagger, afford=afford), 0
        ledger.reserve(reserved)
        try:
            await self._turns.take()
            work = task.module.local[rung.method](task.work, tools)
            # The floor asks no model, and is what is left when time is over.
            left_s = None if rung == FLOOR else ledger.seconds_until(ledger.deadline)
            return await asyncio.wait_for(work, left_s)
        except asyncio.TimeoutError as exc:
            cut_off = 1
            raise DeadlineExceeded(_passed(ledger, "during a call")) from exc
        finally:
            # What was read before the rung was given up is paid for; what was cut off, at its
            # bound: the model may read it to the end.
            cost = reserved.cost_usd if cut_off else self._read(tools.tokens)
            ledger.settle(reserved, cost)
            tally.usage += Usage(
                input_tokens=sum(tools.tokens.values()),
                cost_usd=cost,
                calls=len(tools.tokens) + cut_off,
                failed_calls=cut_off,
                cache_hits=tools.cache_hits,
            )

    async def _ask(self, call: Call, ledger: Ledger) -> tuple[Completion | None, Usage]:
        """The completion and its usage; None when time is up. A call that was cut off is
        charged at its bound, since the server may have generated to the end; one that was still
        waiting for its turn is free."""
        models = self._models.bound(self._caller(call.stage, ledger))
        ledger.reserve(call.bound)
        cost = call.bound.cost_usd
        try:
            completion = await asyncio.wait_for(
                models.backbones[call.backbone].generate(call.request),
                ledger.seconds_until(ledger.deadline),
            )
            cost = self._prices.cost(
                call.backbone,
                completion.input_tokens,
                completion.output_tokens,
                completion.cached_tokens,
            )
        except asyncio.TimeoutError:
            return None, Usage(cost_usd=cost, calls=1, failed_calls=1)
        except DeadlineExceeded:
            cost = 0.0
            return None, Usage()
        finally:
            ledger.settle(call.bound, cost)
        usage = Usage(
            input_tokens=completion.input_tokens,
            output_tokens=completion.output_tokens,
            cost_usd=cost,
            calls=1,
        )
        return completion, usage

    def _caller(self, stage: str, ledger: Ledger) -> Caller:
        return Caller(self._tenant, stage, ledger.started, ledger.deadline)

    def _refusal(self, task: Task, rung: Rung, ledger: Ledger, share: int) -> str | None:
        if isinstance(rung, Apply):
            return ledger.refusal(self._apply_bound(task, rung), share)
        if self._breakers.refuses(self._profile.tiers[rung.backbone]):
            return UNAVAILABLE
        call = self._prepared(task, rung)
        return call.overflow or ledger.refusal(call.bound, share)

    def _apply_bound(self, task: Task, rung: Apply) -> Bound:
        if rung == FLOOR:
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


def _passed(ledger: Ledger, when: str) -> str:
    limit = "the caller's deadline" if ledger.time_limit == DEADLINE else f"budget.{TIME}"
    return f"{limit} passed {when}"
