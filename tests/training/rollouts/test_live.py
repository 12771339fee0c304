"""Episodes of the running pipeline: what the policy saw and chose is what the receipt has."""

import asyncio
import io
import signal
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console

from budgetmem.backbone import ScriptedBackbone
from budgetmem.config import load_profile
from budgetmem.errors import BackboneError, BackboneUnavailable, DeadlineExceeded, Overloaded
from budgetmem.features import NAMES, State
from budgetmem.router import Decision
from budgetmem.tiers import Tier
from budgetmem.types import Workspace
from budgetmem.vectors import mean_direction
from tests.fakes import CHUNKS, FixedRetriever, Found, perfect
from tests.training import toy_outcomes as toys
from tests.training.rollouts.test_walks import QUESTION, fakes, walker
from training import checkpoints, train
from training.policies import ConditionedPolicy, PolicyShape
from training.ppo import Sampler
from training.rollouts import live as module
from training.rollouts.environment import Embedded, RecordedEnvironment
from training.rollouts.live import Acting, LiveEnvironment
from training.rollouts.outcomes import OutcomeFile
from training.rollouts.paths import MODULE_COUNT, parse
from training.rollouts.setting import of_profile

DIMENSION = 3
VECTORS = {chunk.id: row for chunk, row in zip(CHUNKS, np.eye(DIMENSION, dtype="f4"), strict=False)}
QUERY = np.eye(DIMENSION, dtype="f4")[2]
RETRIEVER = FixedRetriever(Found(query=QUERY, vectors=VECTORS))
OTHER = replace(QUESTION, id="q2", text="What did Ben adopt?")


@pytest.fixture
def loop():
    with module._loop() as made:
        yield made


def live(loop, models=None, questions=(QUESTION, OTHER)):
    made = walker(models=models, retriever=RETRIEVER)
    return LiveEnvironment(made, questions, DIMENSION, NAMES, loop)


def by(letters: str):
    """Takes one path."""
    tiers = torch.tensor([int(tier) for tier in parse(letters)])

    def choose(seen, masked):
        assert masked.shape == (len(seen.module), len(Tier))
        return tiers[seen.module]

    return choose


def walk(environment, places, choose, weights=None, seed=0):
    weights = np.zeros(len(places)) if weights is None else np.asarray(weights)
    return environment.walk(np.asarray(places), weights, choose, np.random.default_rng(seed))


def failing(words: str, error: Exception | None = None):
    def script(prompt):
        if words in prompt:
            raise error or BackboneUnavailable("the model is gone")
        return "a cat"

    return fakes(script)


@dataclass
class Slow(ScriptedBackbone):
    """Takes its time, another one for every call."""

    random: Random = field(default_factory=Random)

    async def generate(self, request, on_first_token=None):
        await asyncio.sleep(0.005 * self.random.random())
        return await super().generate(request, on_first_token)


def slow(seed: int):
    random = Random(seed)
    backbones = {key: Slow(perfect, key, random=random) for key in ("low", "mid", "high")}
    return replace(fakes(), backbones=backbones)


def undecided() -> Sampler:
    """Draws every tier about as often as any other."""
    torch.manual_seed(0)
    policy = ConditionedPolicy(PolicyShape(DIMENSION, len(NAMES), projection=4, hidden=8)).eval()
    return Sampler(policy, torch.Generator().manual_seed(0))


def test_an_episode_is_what_its_walk_came_to(loop):
    environment = live(loop)
    episodes = walk(environment, [0, 0], by("LMHLM"), [0.0, 0.3])
    answer, _ = asyncio.run(environment.walker.walk(QUESTION, parse("LMHLM")))
    assert episodes.tiers.T.tolist() == [[int(tier) for tier in parse("LMHLM")]] * 2
    assert episodes.costs == pytest.approx(answer.receipt.total.cost_usd)
    assert episodes.scores.tolist() == [1.0, 1.0]
    assert episodes.cost_weights.tolist() == [0.0, 0.3]
    assert episodes.seen.module.tolist() == [m for m in range(MODULE_COUNT) for _ in range(2)]
    assert episodes.seen.cost_weight.tolist() == pytest.approx([0.0, 0.3] * MODULE_COUNT)
    assert not episodes.masked.any()


def test_a_policy_sees_live_what_it_sees_in_a_recording(loop):
    async def recorded():
        each = walker(retriever=RETRIEVER)
        return await each.outcomes(QUESTION, [parse("LMHLM")])

    file = OutcomeFile({}, NAMES, (asyncio.run(recorded()),))
    chunks = {(QUESTION.id, name): vector for name, vector in VECTORS.items()}
    replayed = RecordedEnvironment(file, Embedded({QUESTION.id: QUERY}, chunks))
    one = walk(live(loop), [0], by("LMHLM"), [0.5]).seen
    other = walk(replayed, [0], by("LMHLM"), [0.5]).seen
    for name in ("query", "state", "module", "cost_weight"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    # A file has six digits of each.
    assert torch.allclose(one.features, other.features, atol=1e-5)
    state = torch.from_numpy(mean_direction([VECTORS[chunk.id] for chunk in CHUNKS]))
    assert torch.equal(one.state[0], state)


@pytest.mark.parametrize(
    "error", [BackboneUnavailable("gone"), DeadlineExceeded("late"), Overloaded("busy")]
)
def test_a_question_whose_models_fail_is_left_out(loop, error):
    environment = live(loop, failing("Ben adopt", error))
    episodes = walk(environment, [0, 1, 0], by("HHHHH"), [0.1, 0.2, 0.3])
    assert episodes.cost_weights.tolist() == [0.1, 0.3]
    assert len(episodes.scores) == 2


def test_it_is_an_error_if_more_than_half_fail(loop):
    environment = live(loop, failing("Ben adopt"))
    assert len(walk(environment, [0, 1], by("HHHHH")).scores) == 1
    with pytest.raises(BackboneError, match=r"2 of 3 questions could not.*: the model is gone"):
        walk(environment, [1, 0, 1], by("HHHHH"))


def test_what_is_drawn_does_not_depend_on_who_is_first(loop):
    places = [0, 1] * 6
    one, other = (walk(live(loop, slow(seed)), places, undecided()) for seed in (1, 2))
    assert torch.equal(one.tiers, other.tiers)
    assert one.costs.tolist() == other.costs.tolist()
    assert set(one.tiers.flatten().tolist()) == {0, 1, 2}
    # Walks of one question draw apart, and so do updates.
    assert not torch.equal(one.tiers[:, 0], one.tiers[:, 2])
    assert not torch.equal(walk(live(loop), places, undecided(), seed=1).tiers, one.tiers)


async def test_where_no_tier_fits_low_is_named_and_nothing_is_drawn():
    state = State(Workspace.start("q", CHUNKS), (), QUERY, VECTORS)
    forbidden = dict.fromkeys(Tier, "budget.max_cost_usd")
    decisions = [
        Decision("entity", "extract", state, 0.1, masked=forbidden),
        Decision("temporal", "extract", state, 0.1, masked={Tier.HIGH: "budget.max_cost_usd"}),
    ]
    acting = Acting(undecided(), DIMENSION, NAMES)
    stuck, free = await acting.choose(decisions)
    assert (stuck.tier, stuck.masked) == (Tier.LOW, forbidden)
    assert free.tier in (Tier.LOW, Tier.MID)
    assert acting.masked["entity"].tolist() == [[False, True, True]]
    assert acting.masked["temporal"].tolist() == [[False, False, True]]
    assert acting.tiers["entity"].tolist() == [Tier.LOW]


def training(loop, out, models=None, **values):
    """Trains on live walks, and gives how many episodes each update had."""
    sizes = replace(live(loop, models), dimension=toys.DIMENSION)
    choosing = Narrow(sizes)
    config = toys.config(out, batch=4, live=True, checkpoint_every=1, **values)
    splits = replace(toys.splits(), rollouts=choosing)
    train.train(config, splits, Console(file=io.StringIO()))
    return choosing.walked


def test_training_learns_from_live_walks(loop, tmp_path):
    assert training(loop, tmp_path, updates=3) == [4, 4, 4]
    assert (tmp_path / "best.pt").exists()


def test_a_live_run_that_was_cut_off_ends_with_the_same_weights(loop, tmp_path, monkeypatch):
    training(loop, tmp_path / "a", slow(1), updates=4)
    learn = train.learn

    def stopping(run, *given):
        if run.update == 2:
            raise KeyboardInterrupt
        return learn(run, *given)

    monkeypatch.setattr(train, "learn", stopping)
    with pytest.raises(KeyboardInterrupt):
        training(loop, tmp_path / "b", slow(2), updates=4)
    monkeypatch.setattr(train, "learn", learn)
    assert training(loop, tmp_path / "b", slow(3), updates=4) == [4, 4]
    one, other = (checkpoints.load(tmp_path / name / "checkpoint.pt").policy for name in "ab")
    assert all(torch.equal(one[name], other[name]) for name in one)


def interrupt():
    """Ctrl-C."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def test_ctrl_c_cancels_the_work_and_waits_for_its_end(loop):
    seen = []

    async def work():
        interrupt()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            seen.append("stopped")

    with pytest.raises(KeyboardInterrupt):
        module._on(loop, work())
    assert seen == ["stopped"]


def test_ctrl_c_stops_walks_that_are_under_way(loop):
    calls = []

    class Endless(ScriptedBackbone):
        async def generate(self, request, on_first_token=None):
            interrupt()
            try:
                await asyncio.sleep(60)
            finally:
                calls.append("cancelled")

    models = replace(fakes(), backbones={key: Endless({}) for key in ("low", "mid", "high")})
    with pytest.raises(KeyboardInterrupt):
        walk(live(loop, models, [QUESTION]), [0], by("HHHHH"))
    assert set(calls) == {"cancelled"}


async def failed():
    raise BackboneUnavailable("gone")


def test_what_work_raises_is_raised(loop):
    with pytest.raises(BackboneUnavailable, match="gone"):
        module._on(loop, failed())


def test_nothing_is_left_on_a_loop_that_ends():
    ended = []

    async def lasting():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append("task")

    async def generating():
        try:
            yield 1
            yield 2
        finally:
            ended.append("generator")

    kept = []

    async def begin():
        kept.append(asyncio.create_task(lasting()))
        kept.append(generating())
        await anext(kept[-1])

    with module._loop() as loop:
        module._on(loop, begin())
    assert ended == ["task", "generator"]
    assert loop.is_closed()


@pytest.mark.parametrize("stage", ["opening", "open"])
def test_models_are_closed_whenever_ctrl_c_comes(monkeypatch, stage):
    log = []

    @asynccontextmanager
    async def opening(options, questions, **setting):
        log.append("opened")
        try:
            if stage == "opening":
                interrupt()
                await asyncio.sleep(60)
            yield walker(), None
        finally:
            await asyncio.sleep(0.01)
            log.append("closed")

    monkeypatch.setattr(module, "open_walker", opening)
    splits = SimpleNamespace(
        setting={
            "split": "train",
            "strategy": "capacity",
            "max_tokens": 400,
            **of_profile(load_profile("small")),
        },
        dataset=SimpleNamespace(questions=lambda split: [QUESTION]),
        training=SimpleNamespace(questions=[QUESTION.id], dimension=DIMENSION),
        features=NAMES,
    )

    def session():
        with module.live(SimpleNamespace(concurrency=2), splits) as environment:
            log.append(len(environment.questions))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session()
    assert log == (["opened", "closed"] if stage == "opening" else ["opened", 1, "closed"])


class Narrow:
    """Shows a policy as many features as the toy's has."""

    def __init__(self, environment):
        self.environment = environment
        self.walked = []

    @property
    def questions(self):
        return self.environment.questions

    def walk(self, places, cost_weights, choose, random):
        chooser = Sampler(Narrowed(choose.policy), choose.generator)
        found = self.environment.walk(places, cost_weights, chooser, random)
        self.walked.append(len(found.scores))
        return replace(found, seen=narrowed(found.seen))


@dataclass
class Narrowed:
    """A policy that is shown less."""

    policy: ConditionedPolicy

    def evaluate(self, seen):
        return self.policy.evaluate(narrowed(seen))


def narrowed(seen):
    unit = torch.zeros(len(seen.module), toys.DIMENSION)
    return replace(seen, query=unit, state=unit, features=seen.features[:, : len(toys.FEATURES)])
