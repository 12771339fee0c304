"""Turns come out of every store in pages: whole, in order, and never of two lives of a history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.errors import Conflict, NotFound
from budgetmem.store.paging import PAGE_CHARACTERS, PAGE_TURNS, Page, page_of, paged
from budgetmem.types import Turn
from tests.store.making import SETTINGS, change


def turns(count, text="x"):
    return [Turn(f"t{number}", "Ana", text) for number in range(count)]


def test_a_page_ends_by_the_number_of_its_turns():
    rest = iter(turns(PAGE_TURNS + 5))
    assert len(page_of(rest)) == PAGE_TURNS
    assert [turn.id for turn in page_of(rest)] == [f"t{PAGE_TURNS + n}" for n in range(5)]
    assert page_of(rest) == ()


def test_a_page_ends_by_its_text():
    rest = iter(turns(9, "x" * (PAGE_CHARACTERS // 3)))
    assert [len(page_of(rest)) for _ in range(4)] == [3, 3, 3, 0]


def test_labels_count_as_text():
    labelled = [Turn(f"t{n}", "Ana", "x", metadata={"k": "v" * PAGE_CHARACTERS}) for n in range(3)]
    assert len(page_of(labelled)) == 1


@given(st.integers(0, 40), st.integers(1, 9))
def test_all_pages_together_are_all_turns(count, size):
    kept = turns(count)

    def read(after):
        some = kept[after : after + size]
        return Page("life", after + len(some), tuple(some))

    assert list(paged("h", read)) == kept


@pytest.fixture
def long(store):
    """A history of several pages."""
    store.write("t", "h", None, SETTINGS, [change("a", [f"{n}" for n in range(2 * PAGE_TURNS)])])
    return store


def test_a_long_history_comes_whole_and_in_order(long):
    assert [turn.text for turn in long.turns("t", "h")] == [f"{n}" for n in range(2 * PAGE_TURNS)]


def test_fat_turns_come_one_by_one(store):
    texts = [f"{n}" + "x" * PAGE_CHARACTERS for n in range(3)]
    store.write("t", "h", None, SETTINGS, [change("a", texts)])
    assert [turn.text for turn in store.turns("t", "h")] == texts


def test_a_history_that_is_deleted_meanwhile_ends_the_reading(long):
    reading = long.turns("t", "h")
    next(reading)
    long.delete("t", "h")
    with pytest.raises(NotFound):
        list(reading)


def test_turns_of_a_history_that_was_made_anew_are_not_mixed_in(long):
    reading = long.turns("t", "h")
    next(reading)
    long.delete("t", "h")
    long.write("t", "h", None, SETTINGS, [change("b", ["new"])])
    with pytest.raises(Conflict, match="meanwhile"):
        list(reading)


def test_a_slow_reader_holds_nobody_off(long):
    """Not even the deletion, which waits for everybody who reads."""
    reading = long.turns("t", "h")
    next(reading)
    assert long.delete("t", "h").turns == 2 * PAGE_TURNS
