"""The same history ranks the same in every store: scores bit for bit, and order."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgetmem.backbone import HashEncoder
from budgetmem.config import RetrievalProfile
from budgetmem.history import Histories
from budgetmem.retrieval import RANKINGS
from budgetmem.store.opening import opened
from budgetmem.types import Turn
from tests.store.making import SETTINGS, change

SOME = ["the", "cat", "sat;", "a", "dog", "painted", "naïve", "cats", "in", "May.", "Ölöf", "日本"]
SOME += ["foo-bar", "x_y", "12"]
NAMES = count()


@pytest.fixture
def both(new_database, tmp_path):
    with ExitStack() as stack:
        yield [stack.enter_context(opened(place)) for place in (str(tmp_path), new_database())]


def near_twins(number, dimension, seed):
    """Vectors that differ in their last bits, so that every order of summing ranks them anew."""
    draw = np.random.default_rng(seed)
    base = draw.normal(size=dimension)
    noise = draw.normal(size=(number, dimension)) * 1e-7
    vectors = (base * (1 + noise)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), base.astype(np.float32)


@pytest.mark.parametrize(("dimension", "limit"), [(2, 5), (64, 1), (384, 10), (384, 200)])
def test_near_twins_are_ranked_alike(both, dimension, limit):
    vectors, query = near_twins(60, dimension, seed=limit)
    changes = [
        replace(made, added=tuple((unit, vector) for unit, _ in made.added))
        for n, vector in enumerate(vectors)
        for made in [change(f"s{n}", [f"text {n}"])]
    ]
    found = []
    for store in both:
        store.write("t", "h", None, SETTINGS, changes)
        found.append(store.search("t", "h", query, [], limit))
    assert found[0] == found[1]
    assert len(found[0].dense) == min(limit, 60)


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_history_is_found_alike(both, data):
    texts = data.draw(
        st.lists(st.lists(st.sampled_from(SOME), min_size=1).map(" ".join), min_size=1, max_size=12)
    )
    gone = data.draw(st.sets(st.integers(0, 11), max_size=3))
    query = " ".join(data.draw(st.lists(st.sampled_from(SOME), min_size=1, max_size=4)))
    turns = [
        Turn(
            f"t{n}",
            "Ana",
            text,
            datetime(2023, 5, 8) + timedelta(days=n % 4) if n % 3 else None,
            f"s{n % 3}",
        )
        for n, text in enumerate(texts)
    ]
    name = f"h{next(NAMES)}"

    async def seen(store):
        histories = Histories(store, HashEncoder(), RetrievalProfile())
        for half in (turns[::2], turns[1::2]):
            if half:
                await histories.ingest("t", name, half)
        proof = await histories.delete_turns("t", name, [f"t{n}" for n in gone])
        if name not in await histories.list("t"):
            return proof
        found = [
            await Histories(store, HashEncoder(), RetrievalProfile(ranking=ranking)).retrieve(
                "t", name, query, 200
            )
            for ranking in RANKINGS
        ]
        vectors = [{key: some.tolist() for key, some in each.vectors.items()} for each in found]
        info = await histories.info("t", name)
        return proof, found, vectors, info, [each async for each in histories.export("t", name)]

    first, second = (asyncio.run(seen(store)) for store in both)
    assert first == second
