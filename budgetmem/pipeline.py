"""The one walk of the pipeline, shared by serving and training.

A request's life: retrieve -> (route -> act) per stage -> memory -> answer -> receipt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from opentelemetry.trace import Tracer

from budgetmem.backbone import Models
from budgetmem.breakers import Breakers
from budgetmem.config import Profile
from budgetmem.errors import BudgetTooSmall, DeadlineExceeded, InvalidInput
from budgetmem.features import State
from budgetmem.finding import Finder, Retriever
from budgetmem.gather import gather_or_cancel
from budgetmem.ledger import Bound, Ledger
from budgetmem.loop_turns import LoopTurns
from budgetmem.modules import MODULES
from budgetmem.prices import PriceBook
from budgetmem.prompting import answer_prompt
from budgetmem.reasons import DEADLINE
from budgetmem.router import Decision, Router, Routers, check_cost_weight
from budgetmem.rungs import Rungs, Task
from budgetmem.stages import STAGES
from budgetmem.tiers import STRATEGIES, Rung, Tier
from budgetmem.tracing import NO_TRACER, step_attributes, traced, usage_attributes
from budgetmem.types import (
    Answer,
    Budget,
    Choice,
    Chunk,
    Finding,
    Memory,
    Receipt,
    Step,
    Usage,
    Workspace,
)


@dataclass(frozen=True)
class ExtractRequest:
    """A question to one history. `max_tokens` overrides the profile's retrieval budget.

    `arrived` (None: when the work on it begins) is when its time began to run, and `deadline`
    (None: never) when its caller stops waiting, both on the clock of the pipeline. What is left
    until then is the time for all stages: nothing is begun that would take longer.
    """

    tenant: str
    history: str
    query: str
    strategy: str = "implementation"
    budget: Budget = field(default_factory=Budget)
    max_tokens: int | None = None
    asked_at: datetime | None = None
    arrived: float | None = None
    deadline: float | None = None


@dataclass(frozen=True)
class RetrievedEvent:
    """Retrieval is done."""

    chunks: tuple[Chunk, ...]


@dataclass(frozen=True)
class StepEvent:
    """A module is done."""

    step: Step
    findings: tuple[Finding, ...]


Event = RetrievedEvent | StepEvent
Observer = Callable[[Event], None]
Done = tuple[Step, tuple[Finding, ...]]


class Pipeline:
    """Extracts memory for questions, under budgets. `clock` returns seconds.

    With `breakers` it makes do without models that are away: modules run on a lower rung, retrieval
    ranks by keywords, and the receipt says so. Without them that is an error.
    `tracer` gets a span for retrieval, every stage, every module and the answer.
    """

    def __init__(
        self,
        profile: Profile,
        models: Models,
        retriever: Retriever,
        routers: Routers,
        clock: Callable[[], float] = time.monotonic,
        *,
        breakers: Breakers | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._breakers = breakers
        self._profile = profile
        self._models = models
        self._routers = routers
        self._clock = clock
        self._tracer = tracer
        self._prices = PriceBook.of(profile)
        self._finder = Finder(profile, models, self._prices, retriever, breakers)
        self._turns = LoopTurns()

    async def extract(self, request: ExtractRequest, observe: Observer | None = None) -> Memory:
        """The memory for one question.

        Raises InvalidInput (strategy, pinned modules, cost weight), NotFound (history),
        BackboneUnavailable (a model server is gone, and there are no breakers). Ceilings never
        raise: what does not fit runs on a lower rung. (A server's door raises DeadlineExceeded, if
        time is over before the request's turn comes.)
        """
        ledger = self._ledger(request)
        return await self._walk(request, self._rungs(request), ledger, observe)

    async def answer(self, request: ExtractRequest, observe: Observer | None = None) -> Answer:
        """The memory and an answer from it alone.

        The answer's own cost is kept back while extracting. Raises BudgetTooSmall, naming the
        least that is needed, if a ceiling cannot even pay for the answer, DeadlineExceeded if time
        is up before there is one, InvalidInput for a question that is too long for the answerer;
        else as `extract`.
        """
        ledger = self._ledger(request)
        rungs = self._rungs(request)
        most = request.max_tokens or self._profile.retrieval.max_tokens
        held = rungs.answer_bound(request.query, request.asked_at, most)
        self._check_room(request, ledger, held)
        ledger.hold(held)
        memory = await self._walk(request, rungs, ledger, observe)
        ledger.release_held()
        work = Workspace.start(request.query, memory.chunks, request.asked_at)
        with traced(self._tracer, "answer") as span:
            text, usage = await rungs.answer(answer_prompt(memory.text, work), ledger)
            span.set_attributes(usage_attributes(usage))
        total = replace(memory.receipt.total + usage, milliseconds=ledger.elapsed_ms)
        receipt = replace(memory.receipt, answer=usage, total=total)
        return Answer(text=text, memory=memory, receipt=receipt)

    async def _walk(
        self, request: ExtractRequest, rungs: Rungs, ledger: Ledger, observe: Observer | None
    ) -> Memory:
        cells, router = _cells(request), self._routers.of(request.strategy)
        check_cost_weight(router, request.budget.cost_weight)
        walk = _Walk(
            budget=request.budget,
            cells=cells,
            rungs=rungs,
            router=router,
            ledger=ledger,
            notify=observe or (lambda event: None),
            turns=self._turns,
            tracer=self._tracer,
        )
        with traced(self._tracer, "retrieve") as span:
            found, retrieval, notes = await self._finder.find(request, ledger)
            span.set_attributes(
                {"budgetmem.chunks": len(found.chunks), **usage_attributes(retrieval)}
            )
        walk.notify(RetrievedEvent(found.chunks))
        work = Workspace.start(request.query, found.chunks, request.asked_at)
        state = State(work, (), found.query, found.vectors)
        for stage in STAGES:
            with traced(self._tracer, f"stage {stage}"):
                results = await walk.run(stage, state)
            work = _grown(state.work, {step.module: found for step, found in results})
            state = replace(state, work=work, steps=(*state.steps, *(s for s, _ in results)))
        text = "\n".join(finding.text for finding in work.findings["summary"])
        receipt = walk.receipt(request.strategy, state, retrieval, notes)
        return Memory(text=text, findings=work.findings, chunks=work.kept, receipt=receipt)

    def _check_room(self, request: ExtractRequest, ledger: Ledger, answer: Bound) -> None:
        """Raises BudgetTooSmall if a ceiling has no room for the answer, DeadlineExceeded if it
        had, and the request has waited for too long."""
        refused = ledger.refusal(answer)
        # A deadline is no budget: the answer is tried, and may well be quicker than its bound.
        if refused is None or refused == DEADLINE:
            return
        what = (
            f"budget.{refused}: the answer alone may need USD {answer.cost_usd:.8f} "
            f"and about {answer.milliseconds:.0f} ms"
        )
        if Ledger(request.budget, self._clock).refusal(answer) is None:
            raise DeadlineExceeded(f"{what}, and {ledger.elapsed_ms:.0f} ms were spent waiting")
        raise BudgetTooSmall(what)

    def _ledger(self, request: ExtractRequest) -> Ledger:
        return Ledger(request.budget, self._clock, request.arrived, request.deadline)

    def _rungs(self, request: ExtractRequest) -> Rungs:
        return Rungs(
            self._profile,
            self._models,
            self._prices,
            request.tenant,
            self._turns,
            breakers=self._breakers,
        )


@dataclass(frozen=True)
class _Walk:
    """One request on its way through the stages."""

    budget: Budget
    cells: Mapping[Tier, Rung]
    rungs: Rungs
    router: Router
    ledger: Ledger
    notify: Observer
    turns: LoopTurns
    tracer: Tracer

    async def run(self, stage: str, state: State) -> list[Done]:
        """Routes and runs the modules of one stage, side by side."""
        tasks = [Task(stage, MODULES[name], state.work, self.cells) for name in STAGES[stage]]
        await self.turns.take()  # bounds need every tier's prompt
        decisions = [self._decision(task, state, len(tasks)) for task in tasks]
        with traced(self.tracer, "route", {"budgetmem.router": self.router.version}):
            choices = await self.router.choose(decisions)
        runs = [self._run(task, choice) for task, choice in zip(tasks, choices, strict=True)]
        return await gather_or_cancel(runs)

    def receipt(
        self, strategy: str, state: State, retrieval: Usage, notes: tuple[str, ...]
    ) -> Receipt:
        """Of all stages; `notes` are those on retrieval."""
        steps = state.steps
        total = sum((step.usage for step in steps), retrieval)
        if self.router.cost_weights is None and self.budget.cost_weight:
            notes += (f"cost_weight: no effect, {strategy} has no trained router here",)
        notes += tuple(_note(step) for step in steps if len(step.choice.masked) == len(Tier))
        return Receipt(
            strategy=strategy,
            router=self.router.version,
            steps=steps,
            retrieval=retrieval,
            answer=None,
            total=replace(total, milliseconds=self.ledger.elapsed_ms),
            retrieved_chunk_ids=tuple(chunk.id for chunk in state.work.retrieved),
            kept_chunk_ids=tuple(chunk.id for chunk in state.work.kept),
            notes=notes,
        )

    def _decision(self, task: Task, state: State, share: int) -> Decision:
        return Decision(
            module=task.module.name,
            stage=task.stage,
            state=state,
            cost_weight=self.budget.cost_weight,
            masked=self.rungs.masked(task, self.ledger, share),
            pinned=self.budget.tiers.get(task.module.name),
        )

    async def _run(self, task: Task, choice: Choice) -> Done:
        with traced(self.tracer, f"module {task.module.name}") as span:
            step, findings = await self.rungs.run(task, choice, self.ledger)
            span.set_attributes(step_attributes(step))
        self.notify(StepEvent(step, findings))
        return step, findings


def _cells(request: ExtractRequest) -> Mapping[Tier, Rung]:
    """The strategy's cells. Raises InvalidInput for an unknown strategy or pinned module."""
    if request.strategy not in STRATEGIES:
        raise InvalidInput(
            "strategy", f"{request.strategy!r} is not one of {', '.join(STRATEGIES)}"
        )
    for module in request.budget.tiers:
        if module not in MODULES:
            raise InvalidInput("budget.tiers", f"{module!r} is not one of {', '.join(MODULES)}")
    return STRATEGIES[request.strategy]


def _note(step: Step) -> str:
    reasons = " and ".join(sorted(set(step.choice.masked.values())))
    return f"{step.module}: no tier fits ({reasons}), {step.rung} ran instead"


def _grown(work: Workspace, found: Mapping[str, tuple[Finding, ...]]) -> Workspace:
    work = work.with_findings(found)
    if "filter" not in found:
        return work
    return work.with_kept(frozenset(id_ for f in found["filter"] for id_ in f.chunk_ids))
