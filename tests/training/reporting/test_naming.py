"""Names of several evaluations on one page, and which of them are drawn together."""

import pytest

from budgetmem.errors import ConfigError
from tests.training.reporting.toy_figures import toy_figures
from training.reporting.figures import Figures
from training.reporting.naming import common_name, families, named


def test_a_heading_tells_what_differs_alone():
    one, other = toy_figures(), toy_figures(max_tokens=800)
    assert [each.heading for each in named([one])] == ["toy, test, capacity"]
    assert [each.heading for each in named([one, other])] == [
        "toy, test, capacity, 400 tokens",
        "toy, test, capacity, 800 tokens",
    ]
    found = named([one, toy_figures(profile="gpu")])
    assert [each.stem for each in found] == [
        "toy-test-capacity-profile-small",
        "toy-test-capacity-profile-gpu",
    ]
    assert named([toy_figures(dataset="my.data:Set")])[0].stem == "my.data-Set-test-capacity"


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(ConfigError, match=r"called 'toy, test, capacity', and differ in .*prompts"):
        named([toy_figures(), toy_figures(prompts="others")])


def test_a_family_differs_in_some_settings_alone():
    small, large = toy_figures(), toy_figures(max_tokens=800)
    found = [small, large, toy_figures("validation"), toy_figures(max_tokens=200, profile="gpu")]
    (family,) = families(found, ("max_tokens",))
    assert [each.head.setting["max_tokens"] for each in family] == [400, 800]
    assert common_name(family, ("max_tokens",), found) == (
        "toy-test-capacity-profile-small",
        "toy, test, capacity, profile small, 8 questions",
    )


def cut(figures: Figures, count: int) -> Figures:
    head = type(figures.head)(**{**vars(figures.head), "questions": figures.head.questions[:count]})
    return Figures(head, figures.found)


def test_a_family_is_seen_on_the_questions_that_all_were_asked():
    small, large = toy_figures(), cut(toy_figures(max_tokens=800), 3)
    (family,) = families([small, large], ("max_tokens",))
    assert [len(each.head.questions) for each in family] == [3, 3]
    assert [len(each.found["LLLLL"]) for each in family] == [3, 3]
    assert families([small, cut(large, 0)], ("max_tokens",)) == []
