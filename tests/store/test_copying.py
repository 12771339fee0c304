"""Histories move between stores as they are, in every direction; one cut off goes on."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from budgetmem.backbone import HashEncoder
from budgetmem.config import RetrievalProfile
from budgetmem.errors import NotFound
from budgetmem.history import Histories
from budgetmem.store.copying import copy_history, histories_of
from budgetmem.store.opening import opened
from budgetmem.types import Turn
from tests.store.making import SETTINGS, change

TALK = [
    Turn("t1", "Ana", "I moved to Lisbon 🙂.", datetime(2023, 5, 8), "b", "a map", {"k": "v"}),
    Turn("t2", "Ben", "And the cat?", None, "a"),
    Turn("t3", "Ana", "She likes it.", datetime(2023, 5, 9), "b"),
    Turn("t4", "Ana", "Nobody dated this."),
    Turn("t5", "Ben", "Painted the house.", datetime(2023, 5, 1), "c"),
]


def histories(store):
    return Histories(store, HashEncoder(), RetrievalProfile())


@pytest.fixture
def source(new_store):
    store = new_store()

    async def fill():
        for tenant, name in (("ana", "trip"), ("ana", "home"), ("ben", "trip")):
            # Not at once: an ingest keeps the turns of a session together.
            for part in (TALK[:1], TALK[1:2], TALK[2:]):
                await histories(store).ingest(tenant, name, part)

    asyncio.run(fill())
    return store


@pytest.fixture(params=["sqlite", "postgres"])
def target(request, tmp_path):
    place = (
        str(tmp_path / "target")
        if request.param == "sqlite"
        else request.getfixturevalue("new_database")()
    )
    with opened(place) as store:
        yield store


def test_a_copy_is_found_exported_and_written_to_as_the_original(source, target):
    copied = copy_history(source, target, "ana", "trip")
    assert (copied.status, copied.turns, copied.chunks) == ("copied", 5, 5)
    assert list(target.turns("ana", "trip")) == TALK
    assert target.info("ana", "trip") == source.info("ana", "trip")

    async def seen(store):
        found = await histories(store).retrieve("ana", "trip", "Who painted? Where did Ana move?")
        vectors = {name: vector.tolist() for name, vector in found.vectors.items()}
        return found, vectors, store.search("ana", "trip", None, ["cat"], 5)

    assert asyncio.run(seen(target)) == asyncio.run(seen(source))
    more = [Turn("t6", "Ana", "Later.", None, "a")]
    reports = [asyncio.run(histories(s).ingest("ana", "trip", more)) for s in (source, target)]
    assert reports[0] == reports[1]
    assert source.contents("ana", "trip").turns == target.contents("ana", "trip").turns


def test_another_history_of_that_name_is_not_touched(source, target):
    target.write("ana", "trip", None, SETTINGS, [change("a", ["mine"])])
    assert copy_history(source, target, "ana", "trip").status == "conflict"
    assert [turn.text for turn in target.turns("ana", "trip")] == ["mine"]


def test_a_copy_that_was_cut_off_goes_on_where_it_was(source, target):
    first, *others = histories_of(source)
    assert copy_history(source, target, *first).status == "copied"
    assert histories_of(target) == [first]
    done = [copy_history(source, target, *each).status for each in (first, *others)]
    assert done == ["present", "copied", "copied"]


def test_histories_are_chosen_by_tenant_and_name(source):
    everything = [("ana", "home"), ("ana", "trip"), ("ben", "trip")]
    assert histories_of(source) == everything
    assert histories_of(source, tenant="ana") == everything[:2]
    assert histories_of(source, names=["trip"]) == everything[1:]
    with pytest.raises(NotFound, match="no histories of tenant 'cleo'"):
        histories_of(source, tenant="cleo")
