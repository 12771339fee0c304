from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.modules import MODULES
from budgetmem.stages import STAGES
from budgetmem.tiers import Tier
from training.rollouts.paths import (
    DEPTHS,
    MODULE_COUNT,
    constant,
    parse,
    planned,
    spell,
    tiers_of,
)

PATHS = st.tuples(*[st.sampled_from(list(Tier))] * MODULE_COUNT)


@given(PATHS)
def test_spelling_round_trips(path):
    assert parse(spell(path)) == path


@pytest.mark.parametrize("letters", ["XXXXX", "lmhlm", "LMHL ", "LMH", "LMHLML", ""])
def test_what_spells_no_path_is_refused(letters):
    with pytest.raises(ValueError, match="is no path: it takes 5 of LMH"):
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


def stages(path):
    return path[:1], path[1:4], path[4:]


@given(st.text())
def test_a_plan_holds_one_stage_and_gives_the_others_two_choices(question):
    paths = planned(question)
    assert len(paths) == len(set(paths)) == 4
    choices = [set(each) for each in zip(*map(stages, paths), strict=True)]
    assert sorted(map(len, choices)) == [1, 2, 2]
    assert {(a, m, z) for a in choices[0] for m in choices[1] for z in choices[2]} == {
        stages(path) for path in paths
    }


@given(st.text())
def test_every_module_of_a_stage_that_varies_has_two_tiers_equally_often(question):
    for modules in zip(*map(stages, planned(question)), strict=True):
        if len(set(modules)) == 2:
            for tiers in zip(*modules, strict=True):
                assert sorted(Counter(tiers).values()) == [2, 2]


def test_every_tier_of_every_module_is_in_some_plans():
    tried = Counter(
        (place, tier)
        for n in range(300)
        for path in planned(f"q{n}")
        for place, tier in enumerate(path)
    )
    assert len(tried) == MODULE_COUNT * len(Tier)
    assert min(tried.values()) > 300


def test_every_stage_is_held_in_some_plans():
    held = Counter(
        [len(set(each)) for each in zip(*map(stages, planned(f"q{n}")), strict=True)].index(1)
        for n in range(300)
    )
    assert min(held[stage] for stage in range(3)) > 70


def test_a_plan_is_of_its_question():
    assert planned("q1") == planned("q1")
    assert planned("q1") != planned("q2")
