from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.modules import MODULES
from budgetmem.stages import STAGES
from budgetmem.tiers import Tier
from training.paths import (
    DEPTHS,
    MODULE_COUNT,
    constant,
    parse,
    planned,
    spell,
    tiers_of,
)

PATHS = st.lists(st.sampled_from(list(Tier)), max_size=MODULE_COUNT).map(tuple)


@given(PATHS)
def test_spelling_round_trips(path):
    assert parse(spell(path)) == path


@pytest.mark.parametrize("letters", ["X", "lmh", "LM "])
def test_another_letter_is_refused(letters):
    with pytest.raises(ValueError, match="substring not found"):
        parse(letters)


def test_a_constant_path_is_one_tier():
    assert spell(constant(Tier.MID)) == "MMMMM"
    assert tiers_of(constant(Tier.LOW)) == dict.fromkeys(MODULES, Tier.LOW)


def test_tiers_are_of_the_modules_in_order():
    path = parse("LMHLM")
    assert list(tiers_of(path).items()) == list(zip(MODULES, path, strict=True))


def test_the_depths_are_those_of_the_stages():
    before = 0
    for stage, modules in STAGES.items():
        assert DEPTHS[stage] == before
        before += len(modules)
    assert before == MODULE_COUNT


@given(st.text(), st.integers(0, 4))
def test_a_plan_compares_every_decision_with_its_alternatives(question, squares):
    paths = planned(question, squares)
    assert len(paths) == len(set(paths)) == 27 * (squares + 1)
    assert {constant(tier) for tier in Tier} <= set(paths)
    middles = {path[1:4] for path in paths}
    assert set(paths) == {(a, *middle, z) for a in Tier for middle in middles for z in Tier}
    for module in range(MODULE_COUNT):
        counts = Counter(path[module] for path in paths)
        assert set(counts.values()) == {len(paths) / 3}


def test_a_plan_is_of_its_question():
    assert planned("q1", 1) == planned("q1", 1)
    assert planned("q1", 1) != planned("q2", 1)


def test_more_squares_go_on_from_fewer():
    assert set(planned("q1", 1)) < set(planned("q1", 3))
