"""Episodes of the running pipeline: what the policy saw and chose is what the receipt has."""

import asyncio
import io
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread

import numpy as np
import pytest
import torch
from rich.console import Console

from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.features import NAMES
from budgetmem.tiers import Tier
from budgetmem.vectors import mean_direction
from tests.fakes import CHUNKS, FixedRetriever, Found
from tests.training import toy_outcomes as toys
from tests.training.test_walks import QUESTION, fakes, walker
from training import train
from training.environment import Embedded, RecordedEnvironment
from training.live import LiveEnvironment
from training.outcomes import OutcomeFile
from training.paths import MODULE_COUNT, parse

DIMENSION = 3
VECTORS = {chunk.id: row for chunk, row in zip(CHUNKS, np.eye(DIMENSION, dtype="f4"), strict=False)}
QUERY = np.eye(DIMENSION, dtype="f4")[2]
RETRIEVER = FixedRetriever(Found(query=QUERY, vectors=VECTORS))
OTHER = replace(QUESTION, id="q2", text="What did Ben adopt?")


@contextmanager
def live(models=None, questions=(QUESTION, OTHER)):
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield LiveEnvironment(
            walker(models=models, retriever=RETRIEVER), questions, DIMENSION, NAMES, loop
        )
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def by(letters: str):
    """Takes one path."""
    tiers = torch.tensor([int(tier) for tier in parse(letters)])

    def choose(seen, masked):
        assert masked.shape == (len(seen.module), len(Tier))
        return tiers[seen.module]

    return choose


def walk(environment, places, choose, weights=None):
    weights = np.zeros(len(places)) if weights is None else np.asarray(weights)
    return environment.walk(np.asarray(places), weights, choose, np.random.default_rng(0))


def failing(words: str):
    def script(prompt):
        if words in prompt:
            raise BackboneUnavailable("the model is gone")
        return "a cat"

    return fakes(script)


def test_an_episode_is_what_its_walk_came_to():
    with live() as environment:
        episodes = walk(environment, [0, 0], by("LMHLM"), [0.0, 0.3])
        each = environment.walker
        answer, _ = asyncio.run(each.walk(QUESTION, parse("LMHLM")))
    assert episodes.tiers.T.tolist() == [[int(tier) for tier in parse("LMHLM")]] * 2
    assert episodes.costs == pytest.approx(answer.receipt.total.cost_usd)
    assert episodes.scores.tolist() == [1.0, 1.0]
    assert episodes.cost_weights.tolist() == [0.0, 0.3]
    assert episodes.seen.module.tolist() == [m for m in range(MODULE_COUNT) for _ in range(2)]
    assert episodes.seen.cost_weight.tolist() == pytest.approx([0.0, 0.3] * MODULE_COUNT)
    assert not episodes.masked.any()


def test_a_policy_sees_live_what_it_sees_in_a_recording():
    async def recorded():
        each = walker(retriever=RETRIEVER)
        return await each.outcomes(QUESTION, [parse("LMHLM")])

    file = OutcomeFile({}, NAMES, (asyncio.run(recorded()),))
    replayed = RecordedEnvironment(file, Embedded({QUESTION.id: QUERY}, VECTORS))
    with live() as environment:
        one = walk(environment, [0], by("LMHLM"), [0.5]).seen
    other = walk(replayed, [0], by("LMHLM"), [0.5]).seen
    for name in ("query", "state", "module", "cost_weight"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    # A file has six digits of each.
    assert torch.allclose(one.features, other.features, atol=1e-5)
    state = torch.from_numpy(mean_direction([VECTORS[chunk.id] for chunk in CHUNKS]))
    assert torch.equal(one.state[0], state)


def test_a_question_whose_models_fail_is_left_out_and_counted():
    with live(failing("Ben adopt")) as environment:
        episodes = walk(environment, [0, 1, 0], by("HHHHH"), [0.1, 0.2, 0.3])
    assert episodes.cost_weights.tolist() == [0.1, 0.3]
    assert len(episodes.scores) == 2
    assert environment.failures == ["q2"]


def test_it_is_an_error_if_all_fail():
    with (
        live(failing("adopt")) as environment,
        pytest.raises(BackboneError, match="no question could be walked"),
    ):
        walk(environment, [0, 1], by("HHHHH"))


def test_training_learns_from_live_walks(tmp_path):
    splits = toys.splits()
    quiet = Console(file=io.StringIO())
    with live() as environment:
        sizes = replace(environment, dimension=toys.DIMENSION)
        choosing = Narrow(sizes)
        config = toys.config(tmp_path, updates=3, batch=4, live=True)
        train.train(config, replace(splits, rollouts=choosing), quiet)
    assert choosing.walked == [4, 4, 4]
    assert (tmp_path / "best.pt").exists()


class Narrow:
    """Shows a policy as many features as the toy's has."""

    def __init__(self, environment):
        self.environment = environment
        self.walked = []

    @property
    def questions(self):
        return self.environment.questions

    def walk(self, places, cost_weights, choose, random):
        def narrowed(seen):
            unit = torch.zeros(len(seen.module), toys.DIMENSION)
            features = seen.features[:, : len(toys.FEATURES)]
            return replace(seen, query=unit, state=unit, features=features)

        found = self.environment.walk(
            places, cost_weights, lambda seen, masked: choose(narrowed(seen), masked), random
        )
        self.walked.append(len(found.scores))
        return replace(found, seen=narrowed(found.seen))
