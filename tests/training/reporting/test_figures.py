"""Figures: everything but text, read back as they were, damage named with its line."""

import gzip
from dataclasses import replace

import pytest

from budgetmem.errors import InvalidInput
from tests.training.reporting.toy_figures import toy_figures
from training.reporting.figures import Figures, read_figures, write_figures
from training.reporting.results import Costs


@pytest.fixture
def file(tmp_path):
    return tmp_path / "figures.jsonl.gz"


def test_figures_come_back_without_text(file):
    written = toy_figures(arms=("LLLLL", "router@0"))
    write_figures(file, written)
    read = read_figures(file)
    assert read.head == written.head
    assert read.outcome("router@0").point == written.outcome("router@0").point
    first, *others = read.found["LLLLL"]
    assert (first.prediction, first.receipt) == ("", {"strategy": "capacity"})
    assert not any(each.receipt for each in others)
    assert b"in May" not in gzip.decompress(file.read_bytes())


def test_the_same_figures_are_the_same_bytes(file, tmp_path):
    write_figures(file, toy_figures())
    write_figures(tmp_path / "again", read_figures(file))
    assert file.read_bytes() == (tmp_path / "again").read_bytes()


def test_what_was_not_answered_scores_0_and_costs_what_answers_do():
    whole = toy_figures(arms=("LLLLL",))
    second, *others = whole.found["LLLLL"][1:]
    dear = replace(second, costs_usd=Costs(9e-6, 0))
    some = Figures(whole.head, {"LLLLL": [dear, *others]})
    assert some.outcome("LLLLL").scores.tolist()[:2] == [0.0, 0.2]
    assert some.outcome("LLLLL").costs.tolist() == pytest.approx([3e-6, 9e-6, *[2e-6] * 6])
    assert some.outcome("LLLLL").point[0] == pytest.approx(3e-6)  # as of the answered alone


def test_what_answered_nothing_is_nothing_to_compare_with():
    whole = toy_figures(arms=("LLLLL", "MMMMM"))
    some = Figures(whole.head, {**whole.found, "LLLLL": []})
    assert list(some.outcomes(["LLLLL", "MMMMM"])) == ["MMMMM"]


def test_what_depends_on_the_answers_is_told_of_them():
    whole = toy_figures(arms=("LLLLL",))
    first, *others = whole.found["LLLLL"]
    judged = replace(first, code="beef", verdicts={"judge, prompt 1": 1.0})
    some = Figures(whole.head, {"LLLLL": [judged, *others]})
    assert some.codes == {"beef": 1, "c0de": 7}
    assert (whole.judges, some.judges) == ([], ["judge, prompt 1"])


def test_building_is_shared_by_the_questions_to_a_history():
    assert toy_figures().head.build_usd == pytest.approx(16e-6 / 8)
    assert toy_figures().head.categories == {"single-hop": 4, "temporal": 4}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda lines: ["{}", *lines[1:]], "has no figures"),
        (lambda lines: [], "has no figures"),
        (lambda lines: [lines[0], lines[1][:-9], *lines[2:]], "line 2: is no result"),
        (lambda lines: [*lines, '{"arm": "other"}'], "line 10: is no result"),
        (lambda lines: [*lines, "[]"], "line 10: is no result"),
    ],
)
def test_damage_is_named(file, damage, told):
    write_figures(file, toy_figures(arms=("LLLLL",)))
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    file.write_bytes(gzip.compress("\n".join(damage(lines)).encode()))
    with pytest.raises(InvalidInput, match=told):
        read_figures(file)


def test_what_is_not_gzipped_is_no_file_of_figures(file):
    file.write_text("{}")
    with pytest.raises(InvalidInput, match="has no figures"):
        read_figures(file)
