"""The first table of a page, of figures that can be reckoned by hand."""

from tests.training.reporting.toy_figures import toy_figures
from training.reporting.compared import compared
from training.reporting.overview import COLUMNS, overview


def row(figures):
    (found,) = overview([compared(figures, None, "toy, test, 2.5 tokens")]).rows
    return dict(zip(COLUMNS, found, strict=True))


def test_the_best_of_each_kind():
    found = row(toy_figures())
    assert found["evaluation"] == "[toy, test, 2.5 tokens](#toy-test-25-tokens)"
    assert found["questions"] == "8"
    assert found["no memory"] == ""
    assert found["best plain retrieval"] == "0.263 for 7.0 (plain-2)"
    # HHHHH scores as much, and is dearer.
    assert found["best constant"] == "0.363 for 4.0 (MMMMM)"
    assert found["best router"] == "0.562 for 5.0 (router@0)"
    assert found["oracle of the constants"] == "0.363 for 4.0"


def test_a_kind_that_was_not_evaluated_is_empty():
    found = row(toy_figures(arms={"no-memory": (0.1, 1e-6, ""), "blind@0.5": (0.9, 1e-6, "LLLLL")}))
    assert found["no memory"] == "0.062 for 1.0"
    # The blind one is no router that reads the question.
    assert [found[name] for name in COLUMNS[3:]] == [""] * 4
