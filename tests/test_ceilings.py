"""Ceilings are hard: 10,000 requests at random, and not one costs more than it may.

The bill is kept by the models themselves, apart from ledger and receipt.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.backbone import (
    Annotation,
    Completion,
    Entity,
    HashEncoder,
    ModelSet,
    Relation,
    ScriptedBackbone,
    ScriptedTagger,
    WordCounter,
)
from budgetmem.breakers import Breakers
from budgetmem.config import Profile, load_profile
from budgetmem.errors import BackboneUnavailable, BudgetTooSmall, DeadlineExceeded
from budgetmem.guarded import GuardedModels, Outage, Retries, breakers_of
from budgetmem.ledger import Bound, Ledger
from budgetmem.modules import MODULES
from budgetmem.modules.base import Tools
from budgetmem.pipeline import ExtractRequest
from budgetmem.prices import PriceBook
from budgetmem.prompting import answer_prompt
from budgetmem.rungs import Rungs, Task
from budgetmem.tiers import FREE, STRATEGIES, Tier
from budgetmem.types import Budget, Choice, Chunk, Fallback, Workspace
from tests.fakes import (
    CHUNKS,
    FixedRetriever,
    Found,
    kept_ledgers,
    perfect,
    pipeline,
    scripted,
)

LOW, MID, HIGH = Tier
BATCHES, REQUESTS = 10, 1000
ROUNDING = 1 + 1e-12
"""The bill is summed call by call, the receipt model by model: their last digits differ."""

LONG = "and so on"
"""A reply that begins so is of the greatest length."""

WORDS = "Ana Ben adopted painted a the cat dog Lisbon yesterday May 2023 is was I you lovely"


@dataclass
class Bill:
    """What the models of one request read and wrote, in USD. A call that `breaks` is billed too."""

    prices: PriceBook
    breaks: Callable[[], bool] = lambda: False
    costs: list[float] = field(default_factory=list)

    def add(self, model: str, read: int, wrote: int = 0) -> None:
        self.costs.append(self.prices.cost(model, read, wrote))
        if self.breaks():
            raise BackboneUnavailable(f"{model} went away in the middle of a call")

    @property
    def usd(self) -> float:
        return math.fsum(self.costs)


class PieceCounter(WordCounter):
    """Four characters are a token."""

    def count(self, text):
        return math.ceil(len(text) / 4)


@dataclass
class Writer(ScriptedBackbone):
    """Stops at the output limit, as an engine does."""

    bill: Bill | None = None

    async def generate(self, request, on_first_token=None):
        reply = self._reply(request.prompt)
        while self.tokens.count(reply) > request.max_tokens:
            reply = reply[: len(reply) * 3 // 4]
        wrote = request.max_tokens if reply.startswith(LONG) else self.tokens.count(reply)
        read = self.tokens.count(request.prompt)
        if on_first_token is not None:
            on_first_token()
        self.bill.add(self.name, read, wrote)
        return Completion(reply, read, wrote, "stop")


@dataclass
class Reader(HashEncoder):
    bill: Bill | None = None

    async def embed(self, texts):
        self.bill.add(self.name, sum(map(self.tokens.count, texts)))
        return await super().embed(texts)


@dataclass
class Parser(ScriptedTagger):
    """Finds much in little, and takes every character for a token."""

    bill: Bill | None = None
    finds: int = 0

    async def annotate(self, texts):
        self.bill.add(self.name, sum(map(len, texts)))
        return tuple(self._annotation(text) for text in texts)

    def _annotation(self, text):
        words = text.split() or ["x"]
        return Annotation(
            entities=(Entity("2023", "DATE"),) * self.finds,
            relations=tuple(
                Relation("Ana", "said", f"{words[n % len(words)]} {text} {n}")
                for n in range(self.finds)
            ),
            noun_phrases=tuple(f"{text} {n}" for n in range(self.finds)),
            tokens=len(text),
        )


@dataclass
class Capricious:
    """Any tier, often among those that are allowed."""

    random: random.Random
    obedience: float
    version: str = "capricious"
    cost_weights: None = None

    def of(self, strategy):
        return self

    async def choose(self, decisions):
        return [self._choice(decision) for decision in decisions]

    def _choice(self, decision):
        allowed = [tier for tier in Tier if tier not in decision.masked]
        heeds = allowed and self.random.random() < self.obedience
        tier = self.random.choice(allowed if heeds else list(Tier))
        return Choice(tier, (0.0, 0.0, 0.0), decision.masked)


def listed(draw: random.Random, texts: list[str]) -> str:
    """A reply of the form of some module, of items that are many, long, or all the same."""
    text = draw.choice([*texts, "Ana adopted a cat", "cat " * 40])
    same = draw.random() < 0.5
    each = [text if same else f"{n} {text}" for n in range(6)]
    key, item = draw.choice([
        ("relations", lambda t: {"subject": "Ana", "relation": t, "object": t, "memory": 1}),
        ("events", lambda t: {"event": t, "date": "yesterday", "memory": 1}),
        ("facts", lambda t: {"topic": t, "fact": t, "memory": 1}),
        ("quotes", lambda t: t),
    ])  # fmt: skip
    return json.dumps({key: [item(t) for t in each]})


def replying(draw: random.Random, texts: list[str]):
    """What an LLM says: the right thing, nonsense, nothing, or as much as it may."""
    kinds = draw.sample(["perfect", "listed", "long", "empty", "keep"], draw.choice([1, 1, 3]))

    def reply(prompt: str) -> str:
        return {
            "perfect": lambda: perfect(prompt),
            "listed": lambda: listed(draw, texts),
            "long": lambda: LONG,
            "empty": lambda: "",
            "keep": lambda: json.dumps({"keep": list(range(1, 9))}),
        }[draw.choice(kinds)]()

    return reply


def chunks_of(draw: random.Random, counter: WordCounter) -> tuple[Chunk, ...]:
    """Tiny ones mostly; now and then one of many tokens; with and without a date."""
    found = []
    for number in range(draw.choice([0, 1, 1, 2, 3])):
        length = draw.choice([1, 2, 3, 5, 60])
        said = " ".join(draw.choices(WORDS.split(), k=length))
        text = draw.choice([said, f"Ana: {said}", f"Ana: {said}?\nBen: {said}", "x" * length])
        found.append(
            Chunk(
                id=f"c{number}",
                session=f"s{number}",
                time=draw.choice([None, datetime(2023, 5, 8)]),
                turn_ids=(f"t{number}",),
                text=text,
                tokens=counter.count(text),
                score=draw.random(),
            )
        )
    return tuple(found)


def profiles() -> tuple[Profile, ...]:
    """As shipped; with prices the other way round; with models that all but speak for free."""
    small = load_profile("small")
    backbones = dict(small.backbones)
    dear = backbones[small.tiers["high"]].price
    turned = {**backbones, small.tiers["low"]: backbones["low"].model_copy(update={"price": dear})}
    readers = {"price": dear.model_copy(update={"input": 1.0})}
    return (
        small,
        small.model_copy(update={"backbones": turned}),
        small.model_copy(
            update={
                "encoder": small.encoder.model_copy(update=readers),
                "tagger": small.tagger.model_copy(update=readers),
            }
        ),
    )


PROFILES = profiles()


@dataclass
class World:
    """One request, and the models that it meets: all of it drawn from a seed."""

    seed: str

    def __post_init__(self) -> None:
        draw = random.Random(self.seed)
        self.counter = draw.choice([WordCounter(), PieceCounter()])
        self.chunks = chunks_of(draw, self.counter)
        self.profile = draw.choice(PROFILES)
        self.query = " ".join(draw.choices(WORDS.split(), k=draw.choice([1, 4, 12])))
        self.tiers = {name: draw.choice(list(Tier)) for name in MODULES if draw.random() < 0.1}
        self.strategy = draw.choice(list(STRATEGIES))
        self.answers = draw.random() < 0.4
        self.asked_at = draw.choice([None, datetime(2024, 1, 1)])
        self.max_tokens = draw.choice([None, 5, 5, 40])
        self.latency = draw.choice([None, None, None, draw.uniform(100, 60_000)])
        self.obedience = draw.choice([1.0, 1.0, 0.5])
        self.finds = draw.choice([0, 1, 40])
        self.rest = draw.random()

    async def run(self, ceiling: float | None, broken: float = 0.0):
        """The receipt (or why the request was refused) and the bill; so many calls break."""
        draw = random.Random(self.rest)
        luck = random.Random(self.rest)
        bill = Bill(PriceBook.of(self.profile), lambda: luck.random() < broken)
        more = {"tokens": self.counter, "bill": bill}
        script = replying(draw, [chunk.text for chunk in self.chunks])
        models = ModelSet(
            {key: Writer(script, name=key, **more) for key in self.profile.backbones},
            Reader(dimension=8, name=self.profile.encoder.asset, **more),
            Parser(name=self.profile.tagger.asset, bill=bill, finds=self.finds),
        )
        asked = pipeline(
            models=models,
            routers=Capricious(draw, self.obedience),
            retriever=Paying(Found(self.chunks), models.encoder),
            profile=self.profile,
            breakers=Breakers(),
        )
        budget = Budget(self.tiers, 0.0, ceiling, self.latency)
        request = ExtractRequest(
            "acme", "chat", self.query, self.strategy, budget, self.max_tokens, self.asked_at
        )
        try:
            done = await (asked.answer if self.answers else asked.extract)(request)
        except (BudgetTooSmall, DeadlineExceeded, BackboneUnavailable) as exc:
            return exc, bill
        return done.receipt, bill


@dataclass
class Paying(FixedRetriever):
    """Embeds the query, as a real one does."""

    encoder: HashEncoder = field(default_factory=HashEncoder)

    async def retrieve(self, tenant, history, query, max_tokens=None, *, embed=True, **time):
        if not embed:
            return replace(self.found, tokens=0)
        await self.encoder.embed([query])
        return replace(self.found, tokens=self.encoder.tokens.count(query))


@pytest.mark.parametrize("batch", range(BATCHES))
async def test_no_request_passes_its_ceiling(batch: int):
    seen = Counter()
    for number in range(REQUESTS):
        world = World(f"{batch}/{number}")
        draw = random.Random(f"ceiling {world.seed}")
        ceiling = draw.choice([0.0, *(10 ** draw.uniform(-7.5, -3.5) for _ in range(9))])
        if draw.random() < 0.3:  # what it costs without a ceiling, or less
            ceiling = (await world.run(None))[1].usd * draw.choice([1.0, draw.random()])
        receipt, bill = await world.run(ceiling)
        where = f"{world.seed}: {receipt}"
        assert bill.usd <= ceiling * ROUNDING, where
        if isinstance(receipt, Exception):
            seen[type(receipt)] += 1
            assert not (isinstance(receipt, BudgetTooSmall) and bill.costs), where
            continue
        assert receipt.total.cost_usd <= ceiling * ROUNDING, where
        assert receipt.total.cost_usd == pytest.approx(bill.usd, rel=1e-9), where
        seen.update(step.rung for step in receipt.steps)
        seen.update(fall.reason for step in receipt.steps for fall in step.fallbacks)
    # The draw reaches what it is to test.
    rungs = {str(rung) for cells in STRATEGIES.values() for rung in cells.values()}
    assert {*rungs, "max_cost_usd", BudgetTooSmall} <= set(seen)
    assert seen[BudgetTooSmall] < REQUESTS / 3


async def test_what_broken_calls_may_have_cost_is_on_the_receipt(monkeypatch):
    ledgers = kept_ledgers(monkeypatch)
    seen = Counter()
    for number in range(REQUESTS):
        world = World(f"broken {number}")
        draw = random.Random(f"ceiling {world.seed}")
        ceiling = draw.choice([None, 10 ** draw.uniform(-7.5, -3.5)])
        ledgers.clear()
        receipt, bill = await world.run(ceiling, broken=0.3)
        where = f"{world.seed}: {receipt}"
        assert bill.usd <= (math.inf if ceiling is None else ceiling * ROUNDING), where
        if isinstance(receipt, Exception):
            seen[type(receipt)] += 1
            continue
        total = receipt.total
        assert bill.usd <= total.cost_usd * ROUNDING, where
        assert total.cost_usd == pytest.approx(ledgers[0].spent_usd, rel=1e-9), where
        assert total.failed_calls <= total.calls, where
        seen.update(fall.reason for step in receipt.steps for fall in step.fallbacks)
    assert {"unavailable", BackboneUnavailable} <= set(seen)


async def test_a_reply_that_breaks_off_is_paid_for_once(monkeypatch):
    ledgers = kept_ledgers(monkeypatch)
    away = iter([True])  # once
    bill = Bill(PriceBook.of(load_profile("small")), lambda: next(away, False))
    writers = {key: Writer(perfect, name=key, bill=bill) for key in ("low", "mid", "high")}
    inner = replace(fakes(), backbones=writers)
    breakers = breakers_of(writers)
    models = GuardedModels(inner, breakers, Outage(), Retries(first_s=0.0))
    tiers = {**dict.fromkeys(MODULES, LOW), "filter": HIGH}
    request = ExtractRequest("t", "h", "What did Ana adopt?", "implementation", Budget(tiers))
    memory = await pipeline(models=models, breakers=breakers).extract(request)
    assert len(bill.costs) == 1
    assert memory.receipt.steps[0].fallbacks == (Fallback("ask direct @ high", "unavailable"),)
    total = memory.receipt.total.cost_usd
    assert bill.usd <= total == pytest.approx(ledgers[0].spent_usd)


async def test_a_long_line_in_a_small_retrieval_is_among_what_is_kept_back():
    line = " ".join(f"word{number}" for number in range(140))
    found = Found((Chunk("c", "s", datetime(2023, 5, 8), ("t",), f"Ana: {line}", 141, 0.9),))
    tiers = {**dict.fromkeys(MODULES, LOW), "summary": MID}
    refused = 0
    for ceiling in (10 ** (-6 + step / 20) for step in range(40)):
        bill = Bill(PriceBook.of(load_profile("small")))
        writers = {key: Writer(perfect, name=key, bill=bill) for key in ("low", "mid", "high")}
        encoder = Reader(name="minilm-l6-v2", bill=bill)
        models = replace(fakes(), backbones=writers, encoder=encoder)
        request = ExtractRequest(
            *("t", "h", "What did Ana say?", "implementation", Budget(tiers, None, ceiling), 5),
            asked_at=datetime(2024, 1, 1),
        )
        try:
            await pipeline(models=models, retriever=FixedRetriever(found)).answer(request)
        except BudgetTooSmall:
            refused += 1
            assert bill.costs == []
    assert 0 < refused < 40


def rungs_of(models: ModelSet) -> Rungs:
    profile = load_profile("small")
    return Rungs(profile, models, PriceBook.of(profile))


def fakes() -> ModelSet:
    encoder, tagger = HashEncoder(name="minilm-l6-v2"), ScriptedTagger(name="en-core-web-sm")
    return ModelSet(scripted(), encoder, tagger)


def specialist(finds: int) -> tuple[Rungs, Task, Bill]:
    """The topic module's, which finds more in its one short chunk than was estimated."""
    bill = Bill(PriceBook.of(load_profile("small")))
    encoder = Reader(name="minilm-l6-v2", bill=bill)
    parser = Parser(name="en-core-web-sm", bill=bill, finds=finds)
    chunk = Chunk("c", "s", None, ("t",), "Ana adopted a cat", 4)
    work = Workspace.start("What did Ana adopt?", (chunk,))
    task = Task("extract", MODULES["topic"], work, STRATEGIES["implementation"])
    return rungs_of(ModelSet(scripted(), encoder, parser)), task, bill


def chosen(tier: Tier) -> Choice:
    return Choice(tier, (0.0, 0.0, 0.0))


async def run_specialist(ceiling: float | None, finds: int = 40):
    rungs, task, bill = specialist(finds)
    ledger = Ledger(Budget(max_cost_usd=ceiling))
    masked = rungs.masked(task, ledger, share=1)
    step, _ = await rungs.run(task, chosen(MID), ledger)
    return step, bill, masked


async def test_a_specialist_that_reads_more_than_was_estimated_is_given_up():
    free, whole, _ = await run_specialist(None)
    assert free.rung == "apply specialist"
    ceiling = whole.usd * 0.9
    step, bill, masked = await run_specialist(ceiling)
    assert MID not in masked  # the estimate fits
    assert step.rung == "apply rules"
    assert step.fallbacks == (Fallback("apply specialist", "max_cost_usd"),)
    # The tagger read before the encoder would have read too much, and is paid.
    assert step.usage.cost_usd == bill.usd == whole.costs[0] > 0


async def test_a_specialist_may_read_more_than_was_estimated_if_it_can_be_paid():
    _, whole, _ = await run_specialist(None)
    step, bill, _ = await run_specialist(whole.usd * ROUNDING)
    assert step.rung == "apply specialist"
    assert not step.fallbacks
    assert step.usage.cost_usd == pytest.approx(bill.usd)


@pytest.mark.parametrize(
    "strategy", [s for s, cells in STRATEGIES.items() if cells[HIGH] not in FREE]
)
async def test_a_tier_that_a_router_chose_against_the_mask_does_not_run(strategy: str):
    models = fakes()
    work = Workspace.start("What did Ana adopt?", CHUNKS)
    task = Task("extract", MODULES["topic"], work, STRATEGIES[strategy])
    step, _ = await rungs_of(models).run(task, chosen(HIGH), Ledger(Budget(max_cost_usd=1e-9)))
    assert step.rung == "apply rules"
    assert {fall.reason for fall in step.fallbacks} == {"max_cost_usd"}
    assert not any(backbone.requests for backbone in models.backbones.values())


async def test_an_answer_that_cannot_be_paid_is_not_asked_for():
    models = fakes()
    prompt = answer_prompt("a cat " * 500, Workspace.start("What did Ana adopt?", ()))
    ledger = Ledger(Budget(max_cost_usd=1e-6))
    with pytest.raises(BudgetTooSmall, match=r"budget\.max_cost_usd: USD .* may be needed"):
        await rungs_of(models).answer(prompt, ledger)
    assert not any(backbone.requests for backbone in models.backbones.values())
    assert ledger.spent_usd == 0.0
    assert ledger.left_usd == 1e-6


@pytest.mark.parametrize("read", ["embed", "annotate"])
async def test_what_cannot_be_afforded_is_not_read(read: str):
    bill = Bill(PriceBook.of(load_profile("small")))
    told = []

    def afford(tokens):
        told.append(dict(tokens))
        if sum(tokens.values()) > 8:
            raise BudgetTooSmall("enough")

    encoder = Reader(name="minilm-l6-v2", bill=bill)
    tools = Tools(encoder, Parser(name="en-core-web-sm", bill=bill), afford=afford)
    await getattr(tools, read)(["a cat"])
    before = dict(tools.tokens)
    with pytest.raises(BudgetTooSmall):
        await getattr(tools, read)(["a b c d e f g"])
    assert tools.tokens == before == told[0]
    assert len(bill.costs) == 1


def test_a_reservation_that_does_not_fit_is_refused_and_the_old_one_stands():
    ledger = Ledger(Budget(max_cost_usd=1.0))
    first = Bound(0.25, 7.0)
    ledger.reserve(first)
    with pytest.raises(BudgetTooSmall, match=r"USD 0.80000000 may be needed, USD 0.75000000 are"):
        ledger.reserve(Bound(0.8))
    with pytest.raises(BudgetTooSmall, match=r"budget\.max_cost_usd"):
        ledger.extend(first, 1.5)
    assert ledger.left_usd == 0.75
    assert ledger.extend(first, 0.1) is first
    longer = ledger.extend(first, 0.5)
    assert (longer, ledger.left_usd) == (Bound(0.5, 7.0), 0.5)
    ledger.settle(longer, 0.3)
    assert (ledger.spent_usd, ledger.left_usd) == (0.3, 0.7)


def test_what_is_free_always_fits_even_if_more_was_spent_than_promised():
    ledger = Ledger(Budget(max_cost_usd=0.5))
    bound = Bound(0.5)
    ledger.reserve(bound)
    ledger.settle(bound, 0.75)  # a server that does not keep to its limit
    assert ledger.spent_usd == 0.75
    ledger.reserve(Bound())
    assert ledger.refusal(Bound(1e-12)) == "max_cost_usd"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_reservations_that_fill_the_ceiling_exactly_fit_and_never_round_above_it(work):
    ceiling = math.fsum(cost for cost, _ in work)
    ledger = Ledger(Budget(max_cost_usd=ceiling))
    for cost, _ in work:
        ledger.reserve(Bound(cost))
    for cost, share in work:
        ledger.settle(Bound(cost), cost * share)
    assert ledger.spent_usd <= ceiling
