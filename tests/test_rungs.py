"""On whose account rungs work, and what they pay when time is over."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from budgetmem.backbone import (
    Annotation,
    Caller,
    HashEncoder,
    ModelSet,
    ScriptedBackbone,
    ScriptedTagger,
)
from budgetmem.breakers import Breaker, BreakerLimits, Breakers
from budgetmem.config import Price, Profile, load_profile
from budgetmem.errors import DeadlineExceeded
from budgetmem.ledger import Ledger
from budgetmem.modules import MODULES
from budgetmem.pipeline import ExtractRequest
from budgetmem.prices import PriceBook
from budgetmem.prompting import answer_prompt
from budgetmem.rungs import Rungs, Task
from budgetmem.stages import STAGES
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Budget, Choice, Fallback, Usage, Workspace
from tests.fakes import CHUNKS, perfect, pipeline, scripted

LOW, MID, HIGH = Tier
ENCODER, TAGGER = "minilm-l6-v2", "en-core-web-sm"


@dataclass(frozen=True)
class Accounts(ModelSet):
    """Models that keep the callers on whose account they worked."""

    backbones: Mapping[str, ScriptedBackbone] = field(default_factory=scripted)
    encoder: HashEncoder = field(default_factory=lambda: HashEncoder(name=ENCODER))
    tagger: ScriptedTagger = field(default_factory=lambda: ScriptedTagger(name=TAGGER))
    callers: list[Caller] = field(default_factory=list)

    def bound(self, caller):
        self.callers.append(caller)
        return self


class Dropped(ScriptedBackbone):
    """Never gets its turn."""

    async def generate(self, request, on_first_token=None):
        raise DeadlineExceeded("queue extract/high: the deadline came first")


class Remembering(ScriptedBackbone):
    """Had read half of every prompt before."""

    async def generate(self, request, on_first_token=None):
        found = await super().generate(request, on_first_token)
        return replace(found, cached_tokens=found.input_tokens // 2)


def rungs(
    models: ModelSet, profile: Profile | None = None, breakers: Breakers | None = None
) -> Rungs:
    profile = profile or load_profile("small")
    return Rungs(profile, models, PriceBook.of(profile), "acme", breakers=breakers)


def small_with(backbone: str, **changed: object) -> Profile:
    """The profile `small`, of which one backbone is changed."""
    profile = load_profile("small")
    other = profile.backbones[backbone].model_copy(update=changed)
    return profile.model_copy(update={"backbones": {**profile.backbones, backbone: other}})


def task(module: str, strategy: str) -> Task:
    stage = next(stage for stage, modules in STAGES.items() if module in modules)
    work = Workspace.start("What did Ana adopt?", CHUNKS)
    return Task(stage, MODULES[module], work, STRATEGIES[strategy])


def chosen(tier: Tier) -> Choice:
    return Choice(tier, (0.0, 0.0, 0.0))


@pytest.mark.parametrize("strategy", ["capacity", "implementation"])
@pytest.mark.parametrize("module", MODULES)
async def test_every_rung_works_on_the_requests_account(module: str, strategy: str):
    models = Accounts()
    ledger = Ledger(Budget(max_latency_ms=60_000), lambda: 50.0)
    await rungs(models).run(task(module, strategy), chosen(MID), ledger)
    stage = {"filter": "filter", "summary": "summary"}.get(module, "extract")
    assert models.callers == [Caller("acme", stage, 50.0, 110.0)]


async def test_the_answer_is_a_stage_of_its_own():
    models = Accounts()
    prompt = answer_prompt("m", Workspace.start("q?", ()))
    await rungs(models).answer(prompt, Ledger(Budget(), lambda: 50.0))
    assert models.callers == [Caller("acme", "answer", 50.0, math.inf)]


async def test_a_pipeline_asks_for_the_requests_tenant():
    models = Accounts()
    await pipeline(models=models).answer(ExtractRequest("acme", "chat", "What did Ana adopt?"))
    assert {caller.tenant for caller in models.callers} == {"acme"}
    assert {caller.stage for caller in models.callers} == {*STAGES, "answer"}
    assert len({caller.born for caller in models.callers}) == 1


async def test_prompts_say_what_they_share_and_how_long_they_are():
    models = Accounts()
    for module in STAGES["extract"]:
        await rungs(models).run(task(module, "capacity"), chosen(HIGH), Ledger(Budget()))
    requests = models.backbones["high"].requests
    [shared] = {each.prompt[: each.shared] for each in requests}
    assert shared.startswith("<|im_start|>user\n<memories>\n8 May 2023:\n[1]")
    assert shared.endswith("What did Ana adopt?\n</question>\n")
    assert len({each.prompt for each in requests}) == 3
    assert [each.prompt_tokens for each in requests] == [len(r.prompt.split()) for r in requests]


async def test_a_call_that_never_got_its_turn_is_free_and_the_next_rung_runs():
    models = Accounts({**scripted(), "high": Dropped(perfect, name="high")})
    ledger = Ledger(Budget(max_latency_ms=600_000))
    step, findings = await rungs(models).run(task("topic", "capacity"), chosen(HIGH), ledger)
    assert step.fallbacks == (Fallback("ask direct @ high", "max_latency_ms"),)
    assert step.rung == "ask direct @ mid"
    assert findings
    assert (step.usage.calls, step.usage.failed_calls) == (1, 0)
    only = await rungs(Accounts()).run(task("topic", "capacity"), chosen(MID), Ledger(Budget()))
    assert step.usage.cost_usd == only[0].usage.cost_usd > 0


@pytest.mark.parametrize("strategy", ["capacity", "implementation"])
async def test_a_call_that_there_is_no_time_to_begin_is_free(strategy: str):
    models = Accounts()
    ledger = Ledger(Budget(max_cost_usd=1.0, max_latency_ms=0), lambda: 50.0)
    step, _ = await rungs(models).run(task("temporal", strategy), chosen(MID), ledger)
    assert step.rung == "apply rules"
    assert {fallback.reason for fallback in step.fallbacks} == {"max_latency_ms"}
    assert step.usage == Usage()
    with pytest.raises(DeadlineExceeded, match=r"budget.max_latency_ms passed while answering"):
        await rungs(models).answer(answer_prompt("m", Workspace.start("q?", ())), ledger)
    assert not any(backbone.requests for backbone in models.backbones.values())
    assert (ledger.spent_usd, ledger.left_usd) == (0.0, 1.0)


async def test_a_dropped_calls_reservation_is_given_back():
    models = Accounts({**scripted(), "high": Dropped(perfect, name="high")})
    ledger = Ledger(Budget(max_cost_usd=1.0))
    prompt = answer_prompt("m", Workspace.start("q?", ()))
    with pytest.raises(DeadlineExceeded, match=r"budget.max_latency_ms passed while answering"):
        await rungs(models).answer(prompt, ledger)
    assert ledger.left_usd == 1.0


async def test_a_local_rung_pays_for_what_it_read_before_it_was_dropped():
    class Counting(ScriptedTagger):
        async def annotate(self, texts):
            return tuple(Annotation(tokens=7) for _ in texts)

    class NeverEmbeds(HashEncoder):
        async def embed(self, texts):
            raise DeadlineExceeded("queue extract/encoder: the deadline came first")

    models = Accounts(scripted(), NeverEmbeds(name=ENCODER), Counting(name=TAGGER))
    ledger = Ledger(Budget(max_cost_usd=1.0))
    step, _ = await rungs(models).run(task("temporal", "implementation"), chosen(MID), ledger)
    assert step.rung == "apply rules"
    assert step.fallbacks == (Fallback("apply specialist", "max_latency_ms"),)
    # Three lines at the tagger's price; nothing was embedded.
    assert step.usage.input_tokens == 21
    assert step.usage.cost_usd == pytest.approx(21 * 0.000112e-6)
    assert ledger.left_usd == 1.0 - step.usage.cost_usd


def babbling(meanwhile: Callable[[], object] = lambda: None) -> Accounts:
    """Models of which High says what cannot be read."""

    def babble(prompt: str) -> str:
        meanwhile()
        return "no JSON"

    return Accounts({**scripted(), "high": ScriptedBackbone(babble, name="high")})


async def fallen_from_high(models, ledger, **given):
    """What topic came to from High down, and why the rung below High was not taken."""
    step, findings = await rungs(models, **given).run(
        task("topic", "capacity"), chosen(HIGH), ledger
    )
    assert findings
    first, second, *_ = step.fallbacks
    assert (first.rung, second.rung) == ("ask direct @ high", "ask direct @ mid")
    assert first.reason.startswith("reply: ")
    assert models.backbones["mid"].requests == []
    return step, second.reason


async def test_a_rung_below_that_cannot_read_its_prompt_is_skipped():
    profile = small_with("mid", context=50)
    step, reason = await fallen_from_high(babbling(), Ledger(Budget()), profile=profile)
    assert reason.startswith("context: ")
    assert reason.endswith(" tokens over 50")
    assert step.rung == "ask direct @ low"


async def test_a_rung_below_whose_model_is_away_is_skipped():
    breaker = Breaker("mid", BreakerLimits(failures=1))
    breaker.fail()
    given = {"breakers": Breakers({"mid": breaker})}
    step, reason = await fallen_from_high(babbling(), Ledger(Budget()), **given)
    assert reason == "unavailable"
    assert step.rung == "ask direct @ low"


async def test_a_rung_below_that_there_is_no_time_for_is_skipped():
    times = [0.0]
    ledger = Ledger(Budget(max_latency_ms=60_000), lambda: times[-1])
    step, reason = await fallen_from_high(babbling(lambda: times.append(59.9)), ledger)
    assert reason == "max_latency_ms"
    assert step.rung == "apply rules"


async def test_what_had_been_read_before_has_its_own_price():
    price = Price(input=1.0, output=4.0, cached=0.25, source="a test")
    profile = small_with(load_profile("small").answerer, price=price)
    models = Accounts({key: Remembering(perfect, name=key) for key in scripted()})
    _, usage = await rungs(models, profile).answer(
        answer_prompt("m", Workspace.start("q?", ())), Ledger(Budget())
    )
    cached = usage.input_tokens // 2
    dear = (usage.input_tokens - cached) * 1.0 + usage.output_tokens * 4.0
    assert cached > 0
    assert usage.cost_usd == pytest.approx((dear + cached * 0.25) / 1e6)
