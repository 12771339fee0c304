"""What every store promises: all or nothing, versions and epochs, exact ranking, deletion."""

from datetime import datetime, timezone
from functools import partial

import numpy as np
import pytest

from budgetmem.errors import Conflict, NotFound
from budgetmem.store.base import DeletionProof, SessionChange
from budgetmem.types import Turn
from tests.store.making import EAST, NORTH, SETTINGS, change


def test_turns_come_back_in_order_of_arrival_with_every_field(store):
    full = Turn(
        "t1",
        "Ana",
        "🙂 </memory> \u202eabc",
        datetime(2023, 5, 8, 13, 56, tzinfo=timezone.utc),
        "s",
        "a dog",
        {"k": "v"},
    )
    bare = Turn("t0", "Ben", "x")
    store.write("t", "h", None, SETTINGS, [SessionChange("s", 0, (full, bare), (), frozenset())])
    assert list(store.turns("t", "h")) == [full, bare]


def test_info_counts(store):
    early, late = datetime(2023, 5, 8), datetime(2024, 1, 1)
    changes = [change("b", ["x", "y"], time=late), change("a", ["z"], time=early)]
    store.write("t", "h", None, SETTINGS, changes)
    info = store.info("t", "h")
    assert (info.sessions, info.turns, info.units) == (2, 3, 3)
    assert (info.first, info.last, info.settings) == (early, late, SETTINGS)


def test_ranking_by_vector_is_by_inner_product_and_by_words_with_stems(store):
    changes = [
        change("a", ["painting the sunrise"], vector=EAST, time=datetime(2023, 5, 9)),
        change("b", ["we ran"], vector=NORTH, time=datetime(2023, 5, 8)),
    ]
    store.write("t", "h", None, SETTINGS, changes)
    hits = store.search("t", "h", np.array([0.2, 0.8], np.float32), ["painted"], 10)
    assert [hits.units[name].session for name, _ in hits.dense] == ["b", "a"]
    assert [score for _, score in hits.dense] == pytest.approx([0.8, 0.2])
    assert [hits.units[name].session for name, _ in hits.keyword] == ["a"]
    assert hits.sessions == ("b", "a")


def test_the_date_of_a_unit_is_searchable(store):
    changes = [
        change("a", ["x"], time=datetime(2023, 5, 9)),
        change("b", ["y"], time=datetime(2023, 7, 1)),
    ]
    store.write("t", "h", None, SETTINGS, changes)
    hits = store.search("t", "h", None, ["july"], 10)
    assert [hits.units[name].session for name, _ in hits.keyword] == ["b"]
    assert hits.dense == ()


@pytest.mark.parametrize(
    "word", ['"', "NEAR", "a AND b", "x*", "text:", "(", "'; DROP TABLE turns"]
)
def test_no_word_acts_as_an_operator(store, word):
    store.write("t", "h", None, SETTINGS, [change("a", ["harmless"])])
    assert store.search("t", "h", None, [word], 10).keyword == ()
    assert store.info("t", "h").turns == 1


def test_statistics_of_words_do_not_leak_between_histories(store):
    store.write("t", "h", None, SETTINGS, [change("a", ["cat", "dog"])])
    alone = store.search("t", "h", None, ["cat"], 10).keyword
    store.write("u", "h", None, SETTINGS, [change("a", ["cat"] * 20)])
    assert store.search("t", "h", None, ["cat"], 10).keyword == alone


def test_a_write_with_an_old_version_writes_nothing_at_all(store):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    epoch = store.snapshot("t", "h", [], []).epoch
    both = [change("b", ["y"]), change("a", ["z"], version=0, start=1)]
    with pytest.raises(Conflict, match="session 'a'"):
        store.write("t", "h", epoch, SETTINGS, both)
    assert [turn.id for turn in store.turns("t", "h")] == ["a0"]


def test_a_turn_that_came_in_by_another_session_is_a_conflict(store):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    epoch = store.snapshot("t", "h", [], []).epoch
    twin = SessionChange("b", 0, (Turn("a0", "Ana", "x", None, "b"),), (), frozenset())
    with pytest.raises(Conflict, match="added meanwhile"):
        store.write("t", "h", epoch, SETTINGS, [twin])


def test_creating_what_is_there_and_writing_to_what_is_gone_are_conflicts(store):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    with pytest.raises(Conflict, match="created meanwhile"):
        store.write("t", "h", None, SETTINGS, [change("b", ["y"])])
    epoch = store.snapshot("t", "h", [], []).epoch
    store.delete("t", "h")
    with pytest.raises(Conflict, match="deleted"):
        store.write("t", "h", epoch, SETTINGS, [change("a", ["y"], version=None, start=1)])
    store.write("t", "h", None, SETTINGS, [change("a", ["new"])])
    with pytest.raises(Conflict, match="deleted"):
        store.write("t", "h", epoch, SETTINGS, [change("a", ["y"], version=None, start=1)])
    assert [turn.text for turn in store.turns("t", "h")] == ["new"]


def test_a_rebuild_that_does_not_know_every_session_is_a_conflict(store):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"]), change("b", ["y"])])
    epoch = store.snapshot("t", "h", [], []).epoch
    only_a = SessionChange("a", None, (), (), frozenset())
    with pytest.raises(Conflict, match="session was added"):
        store.write("t", "h", epoch, SETTINGS, [only_a], rebuild=True)
    assert store.info("t", "h").units == 2


def test_a_session_that_was_emptied_and_made_anew_is_another(store):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"]), change("b", ["y"])])
    planned = store.snapshot("t", "h", ["a"], [])
    old = planned.sessions["a"].version
    emptied = SessionChange("a", old, (), (), frozenset(planned.sessions["a"].unit_ids), {"a0"})
    store.write("t", "h", planned.epoch, SETTINGS, [emptied])
    store.write("t", "h", planned.epoch, SETTINGS, [change("a", ["new"], start=1)])
    with pytest.raises(Conflict, match="written to meanwhile"):
        store.write("t", "h", planned.epoch, SETTINGS, [change("a", ["z"], version=old, start=2)])
    assert [turn.text for turn in store.turns("t", "h")] == ["y", "new"]


def test_a_snapshot_knows_the_asked_for_turns_of_all_sessions(store):
    changes = [change("a", ["x", "y"]), change("b", ["z", "w"])]
    store.write("t", "h", None, SETTINGS, changes)
    found = store.snapshot("t", "h", ["a", "nope"], ["a1", "b0", "nowhere"])
    assert found.known == {"a1": changes[0].turns[1], "b0": changes[1].turns[0]}
    assert found.sessions["a"].turns == changes[0].turns
    assert found.known["a1"] is found.sessions["a"].turns[1], "read once"
    assert found.sessions["nope"].version == 0


def test_sessions_are_found_by_their_turns(store):
    store.write("t", "h", None, SETTINGS, [change("b", ["x", "y"]), change("a", ["z"])])
    assert store.sessions_of("t", "h", ["b0", "a0", "b1", "nowhere"]) == ["a", "b"]
    assert store.sessions_of("t", "h", ["nowhere"]) == []
    assert store.sessions_of("t", "another", ["b0"]) == []


def test_a_deletion_tells_what_went(store):
    store.write("t", "h", None, SETTINGS, [change("a", ["x", "y"])])
    told = []
    assert store.delete("t", "h", told.append) == DeletionProof(2, 2, 2, 0, histories=1)
    assert told == [DeletionProof(2, 2, 2, 0, histories=1)]
    with pytest.raises(NotFound):
        store.delete("t", "h", told.append)
    assert len(told) == 1


def test_a_write_tells_that_it_was_made(store):
    told = []
    write = partial(store.write, "t", "h", on_written=lambda: told.append("written"))
    write(None, SETTINGS, [change("a", ["x"])])
    with pytest.raises(Conflict):
        write(None, SETTINGS, [change("b", ["y"])])
    assert told == ["written"]


@pytest.mark.parametrize("call", ["info", "turns", "delete"])
def test_an_unknown_history_is_named(store, call):
    with pytest.raises(NotFound, match="no history 'nope'"):
        getattr(store, call)("t", "nope")


def test_tenants_do_not_see_each_other(store):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    assert list(store.histories("u")) == []
    with pytest.raises(NotFound):
        store.info("u", "h")


def test_vectors_are_those_of_the_named_units_that_exist(store):
    west = np.array([-1.5, 0.25], np.float32)
    changes = [change("a", ["x", "y"], vector=EAST), change("b", ["z"], vector=west)]
    store.write("t", "h", None, SETTINGS, changes)
    (kept, _), (other, _), (odd, _) = (*changes[0].added, *changes[1].added)
    found = store.vectors("t", "h", {kept.id, odd.id, "gone"})
    assert set(found) == {kept.id, odd.id}
    assert found[kept.id].dtype == np.float32
    assert found[kept.id].tolist() == EAST.tolist()
    assert found[odd.id].tolist() == west.tolist()
    assert store.vectors("t", "h", ()) == {}
    # A unit that was replaced has none any more.
    found = store.snapshot("t", "h", ["a"], [])
    gone = SessionChange("a", found.sessions["a"].version, (), (), frozenset({kept.id}))
    store.write("t", "h", found.epoch, SETTINGS, [gone])
    assert set(store.vectors("t", "h", {kept.id, other.id})) == {other.id}


def test_vectors_of_another_tenants_or_no_history_are_not_found(store):
    made = change("a", ["x"])
    store.write("t", "h", None, SETTINGS, [made])
    ids = {unit.id for unit, _ in made.added}
    for tenant, history in (("t", "other"), ("other", "h")):
        with pytest.raises(NotFound):
            store.vectors(tenant, history, ids)
