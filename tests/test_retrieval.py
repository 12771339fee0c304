"""Query words, fusion, and filling a budget without ever passing it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.chunking import units
from budgetmem.config import ChunkingProfile
from budgetmem.ranking import fuse, query_words
from budgetmem.retrieval import candidates, fill, order
from budgetmem.store.base import Hits, Settings
from budgetmem.types import Turn
from tests.toys import Fours, Words


def session(name: str, sizes: list[int], neighbours: int = 1):
    members = [
        Turn(f"{name}{i}", "Ana", " ".join([f"w{i}"] * size), session=name)
        for i, size in enumerate(sizes)
    ]
    return units(name, members, ChunkingProfile(neighbours=neighbours), Words())


def test_stop_words_go_if_others_remain():
    assert query_words("What did Caroline paint?") == ("caroline", "paint")
    assert query_words("Who are you?") == ("who", "are", "you")


@pytest.mark.parametrize("query", ["?!", "🙂", '"', "* NEAR("])
def test_odd_queries_give_plain_words_or_none(query):
    assert all(word.isalnum() for word in query_words(query))


def test_fusion_adds_reciprocal_ranks_and_breaks_ties_by_id():
    fused = fuse([([("a", 9.0), ("b", 8.0)], 1.0), ([("b", 1.0), ("c", 0.5)], 2.0)], 10)
    assert fused == [
        ("b", pytest.approx(1 / 12 + 2 / 11)),
        ("c", pytest.approx(2 / 12)),
        ("a", pytest.approx(1 / 11)),
    ]
    tied = fuse([([("z", 1.0)], 1.0), ([("y", 1.0)], 1.0)], 10)
    assert [name for name, _ in tied] == ["y", "z"]


def found_in(units_, dense, keyword) -> Hits:
    return Hits(
        settings=Settings("toy", 4, ""),
        dense=tuple(dense),
        keyword=tuple(keyword),
        units={unit.id: unit for unit in units_},
        sessions=("s",),
    )


def test_a_plain_ranking_is_left_as_it_is():
    a, b, c = session("s", [1] * 3)
    hits = found_in([a, b, c], [(a.id, 0.9), (b.id, 0.2)], [(c.id, 3.0)])
    assert order("w0", hits, "dense", 10) == [(a, 0.9), (b, 0.2)]
    assert order("w0", hits, "keyword", 10) == [(c, 3.0)]
    assert {unit for unit, _ in order("w0", hits, "fused", 10)} == {a, b, c}


def test_the_ranking_of_lines_gives_single_lines():
    a, b, c = session("s", [1] * 3)
    hits = found_in([a, b, c], [(b.id, 0.9)], [(c.id, 3.0)])
    ranked = order("w1", hits, "lines", 10)
    assert [[line.turn_id for line in unit.lines] for unit, _ in ranked] == [["s1"], ["s2"]]
    assert sum(score for _, score in ranked) == pytest.approx(1)


def test_overlapping_and_adjacent_windows_become_one_chunk_with_each_turn_once():
    found = session("s", [1] * 6)
    chunks = fill([(found[1], 0.5), (found[4], 0.9)], ["s"], 100, Words())
    (chunk,) = chunks
    assert chunk.turn_ids == ("s0", "s1", "s2", "s3", "s4", "s5")
    assert chunk.text.count("\n") == 5
    assert chunk.score == 0.9


def test_a_chunk_keeps_the_greatest_score_of_what_it_was_merged_from():
    found = session("s", [1] * 6)
    (chunk,) = fill([(found[1], 0.9), (found[4], 0.5)], ["s"], 100, Words())
    assert (len(chunk.turn_ids), chunk.score) == (6, 0.9)


def test_windows_apart_stay_apart_in_order_of_position_and_session():
    first, second = session("s", [1] * 9), session("r", [1] * 3)
    ranked = [(first[7], 0.9), (second[1], 0.8), (first[1], 0.7)]
    chunks = fill(ranked, ["r", "s"], 100, Words())
    assert [(c.session, c.turn_ids[0]) for c in chunks] == [("r", "r0"), ("s", "s0"), ("s", "s6")]


def test_a_unit_that_does_not_fit_gives_its_focus_or_makes_room_for_smaller_ones():
    big, small = session("b", [2, 2, 40]), session("s", [1, 1])
    # The window around b1 has 50 tokens and its focus 4, b2 has 42; the window around s0 has 6.
    chunks = fill([(big[1], 0.9), (big[2], 0.8), (small[0], 0.7)], ["b", "s"], 12, Words())
    assert [(c.turn_ids, c.tokens) for c in chunks] == [(("b1",), 4), (("s0", "s1"), 6)]


def test_the_best_focus_is_there_however_small_the_budget():
    (chunk,) = fill([(session("b", [30, 2])[0], 0.9)], ["b"], 5, Words())
    assert chunk.turn_ids == ("b0",)


def test_the_budget_counts_as_filled_after_misses_in_a_row_alone():
    """Forty units that are too big, twenty, then a small one that fits, then twenty."""
    big = [session(f"b{i}", [50])[0] for i in range(40)]
    first, last = (session(name, [1])[0] for name in ("first", "last"))
    sessions = [unit.session for unit in (*big, first, last)]

    def taken(units_):
        ranked = [(unit, 1 / (place + 1)) for place, unit in enumerate(units_)]
        return [chunk.session for chunk in fill(ranked, sessions, 10, Words())]

    assert taken([*big[:20], first, *big[20:], last]) == ["first", "last"]
    assert taken([first, *big[:31], last]) == ["first", "last"]
    assert taken([first, *big[:32], last]) == ["first"]


def test_nothing_ranked_gives_no_chunks():
    assert fill([], ["s"], 10, Words()) == ()


@given(
    sizes=st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=8), min_size=1, max_size=3),
    budget=st.integers(1, 200),
    counter=st.sampled_from([Words(), Fours()]),
    data=st.data(),
)
def test_the_budget_holds_and_nothing_comes_twice(sizes, budget, counter, data):
    names = [f"s{i}" for i in range(len(sizes))]
    found = [u for name, each in zip(names, sizes, strict=True) for u in session(name, each)]
    order = data.draw(st.permutations(found))
    chunks = fill([(u, 1.0 / (i + 1)) for i, u in enumerate(order)], names, budget, counter)
    assert all(counter.count(chunk.text) == chunk.tokens for chunk in chunks)
    ids = [name for chunk in chunks for name in chunk.turn_ids]
    assert len(ids) == len(set(ids))
    total = sum(chunk.tokens for chunk in chunks)
    assert total <= budget or len(ids) == 1
    again = fill([(u, 1.0 / (i + 1)) for i, u in enumerate(order)], names, budget, counter)
    assert again == chunks


def test_large_budgets_ask_for_more_candidates():
    assert candidates(400) == 400
    assert candidates(100_000) > candidates(10_000)
