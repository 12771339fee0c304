"""A tiny engine behind the real doors, so that their tests need no models."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from budgetmem.errors import BudgetMemError, NotFound, StoreDamaged
from budgetmem.history import IngestReport
from budgetmem.info import (
    BackboneInfo,
    CostWeights,
    Frontier,
    FrontierPoint,
    Interval,
    Limits,
    ModelPrice,
    RetrievalInfo,
    RouterVersion,
    Sample,
    ServerInfo,
    StrategyInfo,
    TaskModelInfo,
)
from budgetmem.pipeline import RetrievedEvent, StepEvent
from budgetmem.store.base import DeletionProof, HistoryInfo, Settings
from budgetmem.tiers import Tier
from budgetmem.types import (
    Answer,
    Choice,
    Chunk,
    Fallback,
    Finding,
    Memory,
    Receipt,
    Step,
    Turn,
    Usage,
)
from server.doors import Doors, Patience
from server.engine import Engine
from server.observability.observing import Observability
from server.room import CallLimits
from server.security.security import Security

CHUNK = Chunk("c1", "s1", datetime(2023, 5, 8, 13, 56), ("t1", "t2"), "Ana: hi\nBo: hi", 7, 0.5)
FINDINGS = {
    "filter": (Finding("filter", "kept", ("c1",)),),
    "entity": (Finding("entity", "Ana books", ("c1",), {"subject": "Ana"}, 0.25),),
    "temporal": (),
}
STEPS = (
    Step(
        "filter",
        Choice(Tier.LOW, (1.0, 0.0, 0.0), {Tier.HIGH: "too dear"}),
        "apply rules",
        Usage(cost_usd=1e-6),
    ),
    Step(
        "entity",
        Choice(Tier.HIGH, (0.1, 0.2, 0.7)),
        "apply specialist",
        Usage(10, 3, 2e-6, 4.5, 2, 1, 0),
        (Fallback("ask reflective @ high", "did not parse"),),
        mean_logprob=-0.5,
        finish_reason="stop",
    ),
)
RECEIPT = Receipt(
    strategy="implementation",
    router="fixed-mid",
    steps=STEPS,
    retrieval=Usage(input_tokens=5, calls=1),
    answer=None,
    total=Usage(15, 3, 3e-6, 12.0, 3, 1, 0),
    retrieved_chunk_ids=("c1", "c2"),
    kept_chunk_ids=("c1",),
    notes=("a note",),
)
MEMORY = Memory("Ana booked in May.", FINDINGS, (CHUNK,), RECEIPT)
ANSWER = Answer("In May.", MEMORY, replace(RECEIPT, answer=Usage(output_tokens=2, calls=1)))
PRICE = ModelPrice(0.03, 0.06, "somewhere")
INFO = ServerInfo(
    version="0.1.0",
    profile="fake",
    about="nothing real",
    backbones=(
        BackboneInfo("low", (Tier.LOW, Tier.MID), "backbone_low", "openvino", "x", 8192, PRICE),
    ),
    answerer="low",
    encoder=TaskModelInfo("encoder", "minilm", PRICE),
    tagger=TaskModelInfo("tagger", "spacy", PRICE),
    strategies=(StrategyInfo("capacity", "ask a", "ask b", "ask c"),),
    modules=("filter", "entity", "temporal", "topic", "summary"),
    router="fixed-mid",
    retrieval=RetrievalInfo("fused", 800),
    routers={"capacity": "fixed-mid"},
)

FRONTIER = Frontier(
    dataset="made-up",
    profile="fake",
    questions=40,
    points=(
        FrontierPoint(0.0, Interval(0.5, 0.4, 0.6), Interval(3e-5, 2e-5, 4e-5)),
        FrontierPoint(0.9, Interval(0.4, 0.3, 0.5), Interval(5e-6, 4e-6, 6e-6)),
    ),
)
SAMPLES = (Sample("budgetmem_requests_total", {"method": "Extract", "code": "OK"}, 3.0),)


@dataclass
class FakeHistories:
    kept: dict[tuple[str, str], list[Turn]] = field(default_factory=dict)
    failure: BudgetMemError | None = None
    damaged: set[str] = field(default_factory=set)

    async def ingest(self, tenant, history, turns):
        if self.failure is not None:
            raise self.failure
        there = self.kept.setdefault((tenant, history), [])
        new = [turn for turn in turns if turn not in there]
        there += new
        return IngestReport(len(new), len(turns) - len(new), len(new), 7 * len(new))

    async def list(self, tenant):
        return sorted(name for owner, name in self.kept if owner == tenant)

    async def info(self, tenant, history):
        turns = self._turns(tenant, history)
        if history in self.damaged:
            raise StoreDamaged(f"the file of history {history!r} is damaged")
        times = [turn.time for turn in turns if turn.time is not None] or [None]
        settings = Settings("minilm", 384, "{}")
        return HistoryInfo(history, settings, 1, len(turns), len(turns), times[0], times[-1])

    async def export(self, tenant, history):
        for turn in self._turns(tenant, history):
            yield turn

    async def delete(self, tenant, history, on_deleted=lambda proof: None):
        count = len(self._turns(tenant, history))
        del self.kept[tenant, history]
        proof = DeletionProof(count, count, count, 0)
        on_deleted(proof)
        return proof

    async def delete_turns(self, tenant, history, turn_ids, on_deleted=lambda proof: None):
        kept = [turn for turn in self._turns(tenant, history) if turn.id not in turn_ids]
        count = len(self._turns(tenant, history)) - len(kept)
        self.kept[tenant, history] = kept
        proof = DeletionProof(count, count, count, 0, record="r1")
        on_deleted(proof)
        return proof

    async def delete_tenant(self, tenant, on_deleted=lambda proof: None):
        proof = DeletionProof(0, 0, 0, 0)
        for history in await self.list(tenant):
            proof += replace(await self.delete(tenant, history, on_deleted), histories=1)
        return proof

    def _turns(self, tenant, history):
        if (tenant, history) not in self.kept:
            raise NotFound(f"no history {history!r}")
        return self.kept[tenant, history]


@dataclass
class FakePipeline:
    requests: list = field(default_factory=list)
    failure: BudgetMemError | Exception | None = None
    takes_s: float = 0.0
    cancelled: threading.Event = field(default_factory=threading.Event)
    memory: Memory = MEMORY

    async def extract(self, request, observe=None):
        self.requests.append(request)
        if observe is not None:
            observe(RetrievedEvent((CHUNK,)))
            for step in STEPS:
                observe(StepEvent(step, FINDINGS[step.module]))
        if self.takes_s:
            await self._work()
        if self.failure is not None:
            raise self.failure
        return self.memory

    async def answer(self, request, observe=None):
        await self.extract(request, observe)
        return ANSWER

    async def _work(self):
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@dataclass
class FakeRouters:
    """A reload gives the strategy `fresh`, or fails."""

    kept: dict[str, str] = field(default_factory=lambda: dict(INFO.routers))
    fresh: str = "capacity-00000001"
    failure: BudgetMemError | None = None
    asked: list[str] = field(default_factory=list)

    def versions(self):
        return dict(self.kept)

    def cost_weights(self):
        return {name: CostWeights(0.0, 0.9) for name, at in self.kept.items() if at == self.fresh}

    def frontiers(self):
        return {name: FRONTIER for name, at in self.kept.items() if at == self.fresh}

    async def reload(self, strategy):
        self.asked.append(strategy)
        if self.failure is not None:
            raise self.failure
        old = self.kept
        self.kept = dict.fromkeys(old, self.fresh)
        return [RouterVersion(name, version, self.fresh) for name, version in old.items()]


@dataclass
class Running:
    """Open doors, and the fakes behind them."""

    address: str
    doors: Doors
    engine: Engine
    loop: asyncio.AbstractEventLoop

    @property
    def histories(self) -> FakeHistories:
        return self.engine.histories  # type: ignore[return-value]

    @property
    def pipeline(self) -> FakePipeline:
        return self.engine.pipeline  # type: ignore[return-value]

    @property
    def routers(self) -> FakeRouters:
        return self.engine.routers  # type: ignore[return-value]

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)


@contextmanager
def running(  # noqa: PLR0917  (most tests name one or two)
    serve: bool = True,
    security: Security | None = None,
    limits: Limits | None = None,
    seen: Observability | None = None,
    local: Path | None = None,
    calls: CallLimits | None = None,
    patience: Patience | None = None,
) -> Iterator[Running]:
    """The doors on a free port, and at `local`, in a thread and loop of their own; watched by
    `seen`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start():
        info = replace(INFO, limits=limits or INFO.limits)
        doors = Doors(limits, security, [seen.interceptor] if seen else (), calls, patience)
        engine = Engine(FakeHistories(), FakePipeline(), info, FakeRouters(), lambda: SAMPLES)
        port = await doors.open("127.0.0.1", 0, local)
        if serve:
            await doors.serve(seen.engine(engine) if seen else engine)
        return Running(f"127.0.0.1:{port}", doors, engine, loop)

    started = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield started
    finally:
        started.call(started.doors.close(0))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
