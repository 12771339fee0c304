"""Tables of figures that can be reckoned by hand."""

from dataclasses import replace

import pytest

from tests.training.reporting.toy_figures import toy_figures
from training.reporting.figures import Figures
from training.reporting.summary import summarized
from training.reporting.tables import Table, categories, means, tiers


def rows(table: Table) -> dict[str, dict[str, str]]:
    """Cells by the first column and by heading."""
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def meant(figures: Figures) -> Table:
    return means(figures, summarized(figures))


def by_category(figures: Figures) -> Table:
    return categories(figures, summarized(figures))


def without(figures: Figures, arm: str, place: int) -> Figures:
    """One question of an arm has no answer."""
    kept = [each for number, each in enumerate(figures.found[arm]) if number != place]
    return Figures(figures.head, {**figures.found, arm: kept})


def test_means_tell_scores_costs_and_tokens():
    found = rows(meant(toy_figures()))["LLLLL"]
    assert found["F1"].startswith("0.16")  # 0.2, and 0.1 less for three of eight
    del found["F1"]
    assert found == {
        "answered by": "LLLLL",
        "n": "8",
        "failed": "0",
        "evidence recall": "0.500",
        "micro-USD to build": "2.0",  # 16 for the history, 8 questions
        "micro-USD a question": "2.0",
        "of it answer": "1.0",
        "answerer's tokens": "100",
        "tokens before": "700",
    }


def test_without_memory_nothing_is_built():
    figures = toy_figures(arms={"no-memory": (0.1, 1e-6, "")})
    assert rows(meant(figures))["no-memory"]["micro-USD to build"] == "0.0"


def test_verdicts_tell_of_how_many_answers_they_are():
    figures = toy_figures(arms=("LLLLL", "HHHHH"))
    first, second, *others = figures.found["LLLLL"]
    judged = [replace(first, verdicts={"j": 1.0}), replace(second, verdicts={"j": 1.0}), *others]
    found = rows(meant(Figures(figures.head, {**figures.found, "LLLLL": judged})))
    assert found["LLLLL"]["judge (j), judged/n"] == "1.000 [1.000, 1.000], 2/8"
    assert found["HHHHH"]["judge (j), judged/n"] == ""


def test_a_verdict_that_could_not_be_read_is_in_no_mean():
    figures = toy_figures(arms=("LLLLL", "HHHHH"))
    first, second, *others = figures.found["LLLLL"]
    some = [replace(first, verdicts={"j": 1.0}), replace(second, verdicts={"j": None}), *others]
    none = [replace(each, verdicts={"j": None}) for each in figures.found["HHHHH"]]
    found = rows(meant(Figures(figures.head, {"LLLLL": some, "HHHHH": none})))
    assert found["LLLLL"]["judge (j), judged/n"] == "1.000 [1.000, 1.000], 1/8"
    assert found["HHHHH"]["judge (j), judged/n"] == ""


def test_a_failure_scores_0_in_its_category_and_costs_nothing_less():
    whole = toy_figures()
    some = without(whole, "MMMMM", 1)
    assert rows(by_category(whole))["MMMMM"] == {
        "answered by": "MMMMM",
        "single-hop (4)": "0.350",
        "temporal (4)": "0.375",
    }
    assert rows(by_category(some))["MMMMM"]["temporal (4)"] == "0.275"
    found = rows(meant(some))["MMMMM"]
    assert (found["failed"], found["micro-USD a question"]) == ("1", "4.0")


def test_where_nothing_was_answered_there_is_a_score_alone():
    whole = toy_figures(arms=("LLLLL",))
    table = meant(Figures(whole.head, {"LLLLL": []}))
    assert table.rows[0][:4] == ["LLLLL", "8", "8", "0.000 [0.000, 0.000]"]
    assert set(table.rows[0][4:]) == {""}
    assert len(table.rows[0]) == len(table.columns)


def test_tiers_are_told_by_module():
    found = rows(tiers(toy_figures()))
    assert list(found) == ["router@0", "router@0.5", "blind@0.5"]
    assert found["router@0"]["filter"] == "100 / 0 / 0"
    assert found["router@0"]["temporal"] == "0 / 0 / 100"


def test_markdown_is_a_table():
    assert Table(("a", "b"), [("1", "2")]).markdown() == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize("table", [meant, by_category, tiers])
def test_every_row_has_all_cells(table):
    found = table(toy_figures())
    assert {len(row) for row in found.rows} == {len(found.columns)}
