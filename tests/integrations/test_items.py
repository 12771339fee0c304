from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgetmem.errors import InvalidInput
from budgetmem.integrations.items import OPERATORS, matches, same_value, turn_of, value_of
from budgetmem.types import Turn

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
VALUES = st.dictionaries(st.sampled_from(["text", "speaker", "kind"]) | st.text(), JSON, max_size=5)


@given(VALUES)
def test_a_value_comes_back_as_it_was_put(value):
    turn = turn_of("k", value, NOON)
    assert value_of(turn) == value
    assert turn.text.strip()
    assert turn.speaker.strip()


def test_the_text_is_what_is_searched():
    turn = turn_of("k", {"text": "I moved", "speaker": "Ana", "kind": "fact"}, NOON)
    assert (turn.id, turn.speaker, turn.text, turn.time) == ("k", "Ana", "I moved", NOON)
    assert turn_of("k", {"food": "crêpes"}, NOON).text == '{"food": "crêpes"}'
    assert turn_of("k", {"food": "crêpes"}, NOON).speaker == "memory"


def test_a_turn_that_was_ingested_otherwise_has_a_value_too():
    assert value_of(Turn("t1", "Ana", "hello")) == {"text": "hello", "speaker": "Ana"}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"n": 1, "pair": [1, 2]}, True),
        ({"n": True, "pair": [1, 2]}, False),
        ({"n": 1, "pair": [1, 2], "text": "x"}, False),
    ],
)
def test_values_are_the_same_as_json(other, same):
    one = turn_of("k", {"n": 1, "pair": (1, 2)}, NOON)
    assert same_value(one, turn_of("k", other, NOON.replace(hour=13))) is same


@pytest.mark.parametrize("value", [{"n": float("nan")}, {"o": object()}, {"text": "x", "s": {1}}])
def test_what_is_not_json_is_refused(value):
    with pytest.raises(InvalidInput, match="cannot be kept as JSON"):
        turn_of("k", value, NOON)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (None, True),
        ({"kind": "fact"}, True),
        ({"kind": "fact", "n": 4}, False),
        ({"n": {"$gt": 2, "$lte": 3}}, True),
        ({"n": {"$lt": 3}}, False),
        ({"n": {"$ne": 3}}, False),
        ({"n": {"$gte": "3"}}, True),
        ({"n": {"$gte": "three"}}, False),
        ({"missing": {"$eq": None}}, True),
        ({"place": {"town": "Ardvane"}}, True),
        ({"place": {"town": "Ardvane", "street": "Quay"}}, False),
        ({"place": {}}, True),
        ({"kind": {}}, False),
        ({"place": {"people": {"$gt": 200, "$lt": 400}}}, True),
        ({"place": {"people": {"$gt": 400}}}, False),
        ({"pair": [1, {"a": 1}]}, True),
        ({"pair": (1, {"a": {"$ne": 1}})}, False),
        ({"pair": [1]}, False),
        ({"year": {"$gt": 900, "$lte": "2024"}}, True),
        ({"day": {"$gt": "2024-05-01"}}, True),
        ({"kind": {"$gt": 1}}, False),
    ],
)
def test_filters(wanted, fits):
    value = {
        "kind": "fact",
        "n": 3,
        "place": {"town": "Ardvane", "people": 300},
        "pair": [1, {"a": 1, "b": 2}],
        "year": "2024",
        "day": "2024-05-08",
    }
    assert matches(value, wanted) is fits


FEW = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "2", "b"])
NESTED = st.recursive(
    FEW,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abn"), inner, max_size=3)
    ),
    max_leaves=6,
)
ITEMS = st.dictionaries(st.sampled_from(["text", "kind", "n"]), NESTED, min_size=1)


def wanted_of(value):
    """Filters that may fit the value: it, parts of it, comparisons, or anything."""
    compared = st.just(value) | FEW
    near = [
        st.just(value),
        st.dictionaries(st.sampled_from(list(OPERATORS)), compared, min_size=1, max_size=2),
        NESTED,
    ]
    if isinstance(value, dict):
        near.append(fields_of(value))
    if isinstance(value, list):
        near.append(st.tuples(*map(wanted_of, value)))
    return st.one_of(near)


def fields_of(value):
    """Filters of some fields of the value, and of one that it may lack."""
    there = {name: wanted_of(each) for name, each in value.items()}
    return st.fixed_dictionaries({}, optional={"n": wanted_of(None), **there})


@settings(max_examples=400)
@given(ITEMS.flatmap(lambda value: st.tuples(st.just(value), fields_of(value))))
def test_filters_find_what_the_store_of_langgraph_finds(case):
    value, wanted = case
    store = pytest.importorskip("langgraph.store.memory").InMemoryStore()
    store.put(("u",), "k", value)
    found = matches(value_of(turn_of("k", value, NOON)), wanted)
    try:
        theirs = bool(store.search(("u",), filter=wanted))
    except (TypeError, ValueError, OverflowError):
        return  # It cannot compare them; here such values do not match.
    assert found is theirs


def test_an_unknown_operator_is_refused():
    with pytest.raises(InvalidInput, match=r"'\$in' is not one of \$eq"):
        matches({"n": 3}, {"n": {"$in": [3]}})
