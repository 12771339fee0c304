"""Evaluations of one setting that were run apart are seen as one."""

from dataclasses import replace

import pytest

from budgetmem.errors import ConfigError
from tests.training.reporting.toy_figures import QUESTIONS, ROUTERS, toy_figures
from training.reporting.figures import Asked, Figures, Sample
from training.reporting.joining import joined
from training.reporting.results import Build
from training.reporting.trained import Trained

CONSTANTS = ("LLLLL", "MMMMM", "HHHHH")
ROUTED = ("router@0", "router@0.5")


def asked(figures, questions, **changed):
    return Figures(replace(figures.head, questions=tuple(questions), **changed), figures.found)


def test_what_is_of_different_settings_stays_as_it_is():
    found = [toy_figures(), toy_figures("validation"), toy_figures(max_tokens=800)]
    assert joined(found) == found


def test_the_ways_of_both_are_seen_on_the_questions_of_both():
    constants = toy_figures(arms=CONSTANTS, routers={})
    routed = toy_figures(arms=ROUTED, routers={"router": ROUTERS["router"]})
    others = (*routed.head.questions[:5], Asked("apart", "other", "temporal"))
    routed = asked(routed, others, builds={**routed.head.builds, "other": Build(1, 2.0)})
    (one,) = joined([constants, routed])
    assert one.head.arms == (*CONSTANTS, *ROUTED)
    assert one.head.questions == constants.head.questions[:5]
    assert {arm: len(results) for arm, results in one.found.items()} == dict.fromkeys(
        one.head.arms, 5
    )
    assert one.head.routers == {"router": ROUTERS["router"]}
    # Of what was ingested for other questions nothing is counted.
    assert one.head.builds == constants.head.builds
    assert one.head.build_usd == pytest.approx(16e-6 / 5)
    assert one.outcome("router@0").point == pytest.approx(
        toy_figures().outcome("router@0").point, rel=0.1
    )


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (
            toy_figures(arms=("MMMMM", "plain-2")),
            "toy, test, capacity: two of the figures have MMMMM: evaluate",
        ),
        (
            asked(toy_figures(arms=ROUTED), [Asked("other", "chat", "temporal")]),
            "no question in common",
        ),
        (
            asked(toy_figures(arms=ROUTED), QUESTIONS, sample=Sample(20, 8)),
            "were drawn by different seeds",
        ),
        (
            toy_figures(arms=ROUTED, routers={"router": [Trained("capacity-9", (0.0, 0.5))]}),
            "'router' is the router capacity-1 already",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(other, named):
    with pytest.raises(ConfigError, match=named):
        joined([toy_figures(arms=CONSTANTS), other])
