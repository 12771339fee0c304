import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgetmem.errors import BackboneError, BackboneUnavailable, InvalidInput
from budgetmem.features import State, observe
from budgetmem.info import CostWeights
from budgetmem.modules import MODULES
from budgetmem.policy_router import PolicyRouter, RowLayout
from budgetmem.router import Decision
from budgetmem.router_artifact import load
from budgetmem.stages import STAGES
from budgetmem.tiers import Tier
from budgetmem.types import Chunk, Finding, Workspace
from budgetmem.vectors import mean_direction
from tests.toy_router import DIMENSION, FEATURES, Toy, write_router

LOW, MID, HIGH = Tier
STAGE_OF = {module: stage for stage, modules in STAGES.items() for module in modules}
UNIT = np.eye(DIMENSION, dtype=np.float32)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return load(write_router(tmp_path_factory.mktemp("router")))


@pytest.fixture(scope="module")
def executor():
    with ThreadPoolExecutor(1) as pool:
        yield pool


class Watched:
    """A session that counts its batches, and waits in the first of them if it is held."""

    def __init__(self, inner, held: bool = False):
        self.inner, self.batches = inner, []
        self.started, self.go = threading.Event(), threading.Event()
        if not held:
            self.go.set()

    def run(self, outputs, feeds):
        self.batches.append(len(feeds["module"]))
        self.started.set()
        assert self.go.wait(60)
        return self.inner.run(outputs, feeds)


def chunk(place: int) -> Chunk:
    return Chunk(f"c{place}", "s", None, (f"t{place}",), f"words {place}", 3, score=1.0)


CHUNKS = tuple(chunk(place) for place in range(3))
VECTORS = {each.id: UNIT[place] for place, each in enumerate(CHUNKS)}


def state(**more) -> State:
    work = Workspace.start("Where did Ana go?", CHUNKS).with_kept(frozenset({"c1", "c2"}))
    work = work.with_findings({"entity": (Finding("entity", "Ana", ("c2",)),)})
    return State(work, **{"query": UNIT[3], "vectors": VECTORS} | more)


def decision(module="filter", cost_weight: float | None = 0.3, of: State | None = None, **more):
    return Decision(module, STAGE_OF[module], of or state(), cost_weight, **more)


def softmax(logits):
    scaled = np.exp(logits - logits.max())
    return scaled / scaled.sum()


ZERO = np.zeros(DIMENSION, np.float32)
MEANS = {
    "filter": mean_direction(UNIT[:3]),
    "entity": mean_direction(UNIT[1:3]),
    "temporal": mean_direction(UNIT[1:3]),
    "topic": mean_direction(UNIT[1:3]),
    "summary": UNIT[2],
}


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("cost_weight", [0.0, 0.9])
async def test_a_decision_is_what_the_graph_says_of_its_state(
    artifact, executor, module, cost_weight
):
    (choice,) = await PolicyRouter(artifact, executor=executor).choose(
        [decision(module, cost_weight)]
    )
    seen = np.concatenate([UNIT[3], MEANS[module], observe(state(), FEATURES)])
    logits = Toy.make().logits(seen, list(MODULES).index(module), cost_weight)
    np.testing.assert_allclose(choice.probabilities, softmax(logits), atol=1e-6)
    assert choice.tier == logits.argmax()
    assert isinstance(choice.tier, Tier)


async def test_vectors_that_are_absent_are_zeros(artifact, executor):
    bare = state(query=None, vectors={})
    (choice,) = await PolicyRouter(artifact, executor=executor).choose([decision(of=bare)])
    seen = np.concatenate([ZERO, ZERO, observe(bare, FEATURES)])
    np.testing.assert_allclose(
        choice.probabilities, softmax(Toy.make().logits(seen, 0, 0.3)), atol=1e-6
    )


async def test_decisions_of_two_states_are_not_mixed_up(artifact, executor):
    router = PolicyRouter(artifact, executor=executor)
    decisions = [decision(of=state(query=UNIT[0])), decision(of=state(query=UNIT[1]))]
    together = await router.choose(decisions)
    apart = [(await router.choose([each]))[0] for each in decisions]
    np.testing.assert_allclose(
        [each.probabilities for each in together],
        [each.probabilities for each in apart],
        atol=1e-6,
    )
    assert together[0].probabilities != together[1].probabilities


async def test_pins_go_before_the_policy_and_masks_before_pins(artifact, executor):
    watched = Watched(artifact.session)
    router = PolicyRouter(replace(artifact, session=watched), executor=executor)
    masked = {HIGH: "max_cost_usd"}
    choices = await router.choose(
        [
            decision("entity", pinned=HIGH),
            decision("temporal"),
            decision("topic", pinned=HIGH, masked=masked),
        ]
    )
    assert [choices[at].tier for at in (0, 2)] == [HIGH, MID]
    assert [choices[at].probabilities for at in (0, 2)] == [(0, 0, 1), (0, 1, 0)]
    assert choices[2].masked == masked
    assert [each.cost_weight for each in choices] == [None, 0.3, None]
    assert watched.batches == [1]
    (alone,) = await router.choose([decision("temporal")])
    assert choices[1] == alone


async def test_pins_need_no_cost_weight_that_the_policy_knows(artifact, executor):
    router = PolicyRouter(artifact, executor=executor)
    (choice,) = await router.choose([decision(cost_weight=7.0, pinned=LOW)])
    assert choice.tier is LOW


async def test_with_every_tier_masked_the_choice_is_low(artifact, executor):
    masked = dict.fromkeys(Tier, "max_cost_usd")
    for sample in (False, True):
        router = PolicyRouter(artifact, executor=executor, sample=sample)
        (choice,) = await router.choose([decision(masked=masked)])
        assert (choice.tier, choice.probabilities) == (LOW, (1, 0, 0))


@pytest.mark.parametrize("cost_weight", [-0.1, 0.91, float("nan"), float("inf")])
async def test_a_cost_weight_that_it_was_not_trained_for(artifact, executor, cost_weight):
    router = PolicyRouter(artifact, executor=executor)
    with pytest.raises(InvalidInput, match=r"is not within 0 to 0.9, for which") as error:
        await router.choose([decision(), decision(cost_weight=cost_weight)])
    assert error.value.field == "budget.cost_weight"
    assert artifact.card.version in str(error.value)


async def test_without_a_cost_weight_the_least_counts(tmp_path, executor):
    folder = write_router(tmp_path, cost_weight={"min": 0.2, "max": 0.5})
    router = PolicyRouter(load(folder), executor=executor)
    asked = [decision(cost_weight=weight) for weight in (None, 0.2, 0.5)]
    choices = await router.choose(asked)
    assert [each.cost_weight for each in choices] == [0.2, 0.2, 0.5]
    absent, least, most = [each.probabilities for each in choices]
    assert absent == pytest.approx(least, abs=1e-6)
    assert absent != pytest.approx(most, abs=1e-3)
    with pytest.raises(InvalidInput, match=r"0 is not within 0.2 to 0.5"):
        await router.choose([decision(cost_weight=0.0)])


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(MODULES)),
            st.none() | st.floats(0, 0.9),
            st.sets(st.sampled_from(list(Tier))),
            st.none() | st.sampled_from(list(Tier)),
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_whatever_is_asked_masks_hold_and_probabilities_sum_to_one(
    artifact, executor, asked, sample
):
    decisions = [
        decision(module, weight, masked=dict.fromkeys(masked, "why"), pinned=pinned)
        for module, weight, masked, pinned in asked
    ]

    async def run():
        return await PolicyRouter(artifact, executor=executor, sample=sample).choose(decisions)

    choices = asyncio.run(run())
    assert len(choices) == len(decisions)
    for each, choice in zip(decisions, choices, strict=True):
        assert sum(choice.probabilities) == pytest.approx(1, abs=1e-6)
        assert choice.masked == each.masked
        if len(each.masked) < len(Tier):
            assert choice.tier not in each.masked
            assert all(choice.probabilities[tier] == 0 for tier in each.masked)
        if each.pinned is not None and each.pinned not in each.masked:
            assert choice.tier is each.pinned


async def test_samples_follow_the_probabilities_and_the_seed(artifact, executor):
    decisions = [decision("entity", masked={MID: "context"})] * 2000

    async def drawn(seed: int):
        router = PolicyRouter(artifact, executor=executor, sample=True, seed=seed)
        return await router.choose(decisions)

    first, again, other = [await drawn(seed) for seed in (1, 1, 2)]
    assert first == again
    assert first != other
    share = np.mean([choice.tier is HIGH for choice in first])
    assert 0.02 < first[0].probabilities[HIGH] < 0.98
    assert share == pytest.approx(first[0].probabilities[HIGH], abs=0.04)
    assert all(choice.tier is not MID for choice in first)


async def test_requests_share_batches(artifact, executor):
    watched = Watched(artifact.session, held=True)
    router = PolicyRouter(replace(artifact, session=watched), executor=executor)
    stage = [decision(module) for module in STAGES["extract"]]
    first = asyncio.create_task(router.choose(stage))
    await asyncio.to_thread(watched.started.wait, 60)
    later = [asyncio.create_task(router.choose(stage)) for _ in range(4)]
    await asyncio.sleep(0.01)
    watched.go.set()
    results = await asyncio.gather(first, *later)
    assert watched.batches == [3, 12]
    for result in results[1:]:
        assert [each.tier for each in result] == [each.tier for each in results[0]]


async def test_closing_waits_for_what_was_asked_and_refuses_the_rest(artifact, executor):
    watched = Watched(artifact.session, held=True)
    router = PolicyRouter(replace(artifact, session=watched), executor=executor)
    asked = asyncio.create_task(router.choose([decision()]))
    await asyncio.to_thread(watched.started.wait, 60)
    closing = asyncio.create_task(router.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    with pytest.raises(BackboneUnavailable, match="is closed"):
        await router.choose([decision()])
    watched.go.set()
    await closing
    assert len(await asked) == 1
    await router.close()


async def test_a_session_that_fails_is_told_and_does_not_stay_open(artifact, executor):
    class Failing:
        def run(self, outputs, feeds):
            raise BackboneError("router.onnx: out of memory")

    router = PolicyRouter(replace(artifact, session=Failing()), executor=executor)
    with pytest.raises(BackboneError, match="out of memory"):
        await router.choose([decision()])
    await router.close()


async def test_nothing_to_choose(artifact, executor):
    router = PolicyRouter(artifact, executor=executor)
    assert await router.choose([]) == []
    assert router.version == artifact.card.version
    assert router.strategy == "capacity"
    assert router.cost_weights == CostWeights(0.0, 0.9)


def test_a_row_is_cut_into_the_inputs():
    layout = RowLayout(dimension=2, features=3)
    rows = np.arange(18, dtype=np.float32).reshape(2, 9)
    feeds = layout.feeds(rows)
    assert layout.width == 9
    assert {name: value.tolist() for name, value in feeds.items()} == {
        "query": [[0, 1], [9, 10]],
        "state": [[2, 3], [11, 12]],
        "features": [[4, 5, 6], [13, 14, 15]],
        "module": [7, 16],
        "cost_weight": [8, 17],
    }
    assert feeds["module"].dtype == np.int64
