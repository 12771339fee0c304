import gc
import logging
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from budgetmem.config import load_profile
from budgetmem.errors import BackboneError, BackboneUnavailable, ConfigError
from budgetmem.info import CostWeights
from budgetmem.modules import MODULES
from budgetmem.policy_router import PolicyRouter
from budgetmem.router import FixedRouter
from budgetmem.router_artifact import load
from budgetmem.router_book import RouterBook, prepare, random_decisions, try_out
from budgetmem.tiers import Tier
from budgetmem.types import Choice
from tests.router_folders import UNTRAINED
from tests.test_router_frontier import METRICS, TRAINING
from tests.toy_router import DIMENSION, ENCODER, Toy, write_router


@pytest.fixture(scope="module")
def profile():
    small = load_profile("small")
    encoder = small.encoder.model_copy(update={"dimension": DIMENSION})
    return small.model_copy(update={"encoder": encoder})


@pytest.fixture
def executor():
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def swap(profile, executor):
    async def swap(book: RouterBook, folder, **more) -> str:
        router = await prepare(folder, profile, executor=executor, **more)
        book.install([router])
        return router.strategy

    return swap


async def test_strategies_without_a_router_have_the_default():
    fixed = FixedRouter()
    book = RouterBook(fixed)
    assert book.of("capacity") is fixed
    assert book.versions() == UNTRAINED
    assert book.cost_weights() == {}
    await book.close()


async def test_what_is_installed_is_what_was_prepared(tmp_path, profile, executor):
    book = RouterBook(FixedRouter())
    folders = {name: tmp_path / name for name in ("capacity", "reasoning")}
    for name, folder in folders.items():
        write_router(folder, strategy=name, version=f"{name}-old")
    prepared = [await prepare(folder, profile, executor=executor) for folder in folders.values()]
    assert set(book.versions().values()) == {"fixed-mid"}
    for name, folder in folders.items():
        write_router(folder, Toy.make(seed=1), strategy=name, version=f"{name}-new")
    book.install(prepared)
    assert [book.of(name) for name in folders] == prepared
    assert {name: book.versions()[name] for name in folders} == {
        "capacity": "capacity-old",
        "reasoning": "reasoning-old",
    }


async def test_the_range_of_a_trained_router_is_told(tmp_path, swap):
    book = RouterBook(FixedRouter())
    await swap(book, write_router(tmp_path / "r", cost_weight={"min": 0.1, "max": 0.5}))
    assert book.cost_weights() == {"capacity": CostWeights(0.1, 0.5)}


async def test_a_frontier_is_told_where_the_card_tells_it(tmp_path, swap):
    book = RouterBook(FixedRouter())
    await swap(book, write_router(tmp_path / "silent"))
    assert book.frontiers() == {}
    await swap(book, write_router(tmp_path / "told", training=TRAINING, metrics=METRICS))
    assert book.frontiers()["capacity"].questions == 40


async def test_a_request_keeps_the_router_it_got(tmp_path, swap):
    book = RouterBook(FixedRouter())
    assert await swap(book, write_router(tmp_path / "old")) == "capacity"
    old = book.of("capacity")
    assert await swap(book, write_router(tmp_path / "new", Toy.make(seed=1))) == "capacity"
    new = book.of("capacity")
    assert old.version != new.version
    assert book.versions() == UNTRAINED | {"capacity": new.version}
    decisions = random_decisions(load(tmp_path / "old").card)
    before, after = await old.choose(decisions), await new.choose(decisions)
    assert [each.probabilities for each in before] != [each.probabilities for each in after]


async def test_a_router_that_nobody_has_is_gone(tmp_path, swap):
    book = RouterBook(FixedRouter())
    await swap(book, write_router(tmp_path / "old"))
    old = weakref.ref(book.of("capacity"))
    await swap(book, write_router(tmp_path / "new", Toy.make(seed=1)))
    gc.collect()
    assert old() is None


async def fail(self, decisions):
    raise BackboneError("out of memory")


HARMS = {
    "absent": "no such folder",
    "truncated": "router.onnx: its SHA-256 is .* cut off",
    "encoder": "reads vectors of the encoder 'other'",
    "hash": "trained with other weights of the encoder",
    "weights": "'weights' are not finite",
    "canary": "fails on a trial: out of memory",
}


@pytest.mark.parametrize("harm", HARMS)
async def test_on_any_failure_the_old_one_stays(tmp_path, swap, monkeypatch, harm):
    book = RouterBook(FixedRouter())
    await swap(book, write_router(tmp_path / "old"))
    old = book.of("capacity")
    broken = tmp_path / "new"
    if harm != "absent":
        write_router(broken, Toy.make(seed=1))
    if harm == "truncated":
        content = (broken / "router.onnx").read_bytes()
        (broken / "router.onnx").write_bytes(content[:100])
    if harm == "encoder":
        write_router(broken, encoder=ENCODER | {"name": "other"})
    if harm == "hash":
        write_router(broken, encoder=ENCODER | {"sha256": "0" * 64})
    if harm == "weights":
        write_router(broken, replace(Toy.make(), weights=Toy.make().weights * np.nan))
    if harm == "canary":
        monkeypatch.setattr("budgetmem.policy_router.PolicyRouter.choose", fail)
    with pytest.raises(ConfigError, match=HARMS[harm]):
        await swap(book, broken)
    assert book.of("capacity") is old


async def test_another_profile_is_said(tmp_path, swap, caplog):
    with caplog.at_level(logging.WARNING):
        await swap(RouterBook(FixedRouter()), write_router(tmp_path / "r", profile="large"))
    assert "was trained on the profile 'large'" in caplog.text


async def test_the_canary_takes_no_draws_from_the_served_router(tmp_path, swap, executor):
    book = RouterBook(FixedRouter())
    await swap(book, write_router(tmp_path / "r"), sample=True, seed=3)
    artifact = load(tmp_path / "r")
    unused = PolicyRouter(artifact, executor=executor, sample=True, seed=3)
    decisions = random_decisions(artifact.card)
    assert await book.of("capacity").choose(decisions) == await unused.choose(decisions)


async def test_closed_routers_refuse(tmp_path, swap):
    book = RouterBook(FixedRouter())
    await swap(book, write_router(tmp_path / "r"))
    await book.close()
    with pytest.raises(BackboneUnavailable):
        await book.of("capacity").choose([])


def test_random_decisions_are_always_the_same_and_cover_what_there_is(tmp_path):
    card = load(write_router(tmp_path / "r")).card
    decisions = random_decisions(card)
    again = random_decisions(card)
    assert [each.masked for each in decisions] == [each.masked for each in again]
    for one, other in zip(decisions, again, strict=True):
        np.testing.assert_array_equal(one.state.query, other.state.query)
    assert {each.module for each in decisions} == set(MODULES)
    weights = {each.cost_weight for each in decisions}
    assert {min(weights), max(weights)} == {0.0, 0.9}
    assert any(each.masked for each in decisions)


class Faulty:
    """A router that answers what it is told, another time each call."""

    version = "faulty-1"
    cost_weights = CostWeights(0.0, 0.9)

    def __init__(self, *answers):
        self.answers = list(answers)

    async def choose(self, decisions):
        tier, probabilities = self.answers.pop(0)
        return [Choice(tier, probabilities, each.masked) for each in decisions]


SURE = (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([(Tier.LOW, (0.5, 0.5, 0.5))] * 2, "no probabilities"),
        ([(Tier.LOW, (float("nan"), 0.5, 0.5))] * 2, "no probabilities"),
        ([(Tier.LOW, SURE)] * 2, "chooses a masked tier"),
    ],
)
async def test_canaries_that_die(tmp_path, answers, message):
    card = load(write_router(tmp_path / "r")).card
    with pytest.raises(ConfigError, match=f"faulty-1 .*{message}"):
        await try_out(Faulty(*answers), card)


async def test_a_router_that_changes_its_mind(tmp_path, monkeypatch):
    card = load(write_router(tmp_path / "r")).card
    free = [each for each in random_decisions(card) if not each.masked]
    monkeypatch.setattr("budgetmem.router_book.random_decisions", lambda card: free)
    await try_out(Faulty((Tier.LOW, SURE), (Tier.LOW, SURE)), card)
    with pytest.raises(ConfigError, match="is not deterministic"):
        await try_out(Faulty((Tier.LOW, SURE), (Tier.LOW, (0.0, 1.0, 0.0))), card)
