"""What a page says beside its tables."""

from dataclasses import replace

from tests.training.reporting.toy_figures import toy_figures
from training.reporting.compared import compared
from training.reporting.figures import Figures, Sample
from training.reporting.page import joint_section, page, sample, section


def text(figures, validation=None):
    return section(compared(figures, validation, "toy, test"), {"Frontier": "toy-frontier"})


def test_it_says_how_many_questions_of_how_many():
    figures = toy_figures()
    assert sample(figures) == "8 of 20 questions, stratified by category, seed 7"
    whole = Figures(replace(figures.head, sample=Sample(8, 7)), figures.found)
    assert sample(whole) == "All 8 questions of the split"
    assert "8 of 20 questions" in text(figures)


def test_it_says_what_answered_and_what_routers_learned_from():
    figures = toy_figures(arms=("LLLLL", "router@0"))
    others = [replace(each, code="beef") for each in figures.found["LLLLL"][:2]]
    mixed = [*others, *figures.found["LLLLL"][2:]]
    told = text(Figures(figures.head, {**figures.found, "LLLLL": mixed}))
    assert "`beef: 2 answers; c0de: 14 answers`" in told
    assert "`capacity-1 (trained on toy, train, profile small, SHA-256 00000000)`" in told
    assert "`capacity-2, blind`" in told
    assert "`1, 1000 tokens read by the encoder`" in told


def test_it_names_the_judges_or_says_that_there_is_none():
    figures = toy_figures(arms=("LLLLL",))
    assert "Judge: none" in text(figures)
    judged = [replace(each, verdicts={"big, prompt 1": 1.0}) for each in figures.found["LLLLL"]]
    assert "Judge: big, prompt 1." in text(Figures(figures.head, {"LLLLL": judged}))


def test_the_budgets_of_retrieval_are_told_truly():
    told = page([], [])
    assert "`plain-K` has K times 256 tokens" in told
    assert "same retrieval" not in told


def test_headline_numbers_stand_in_every_page_with_a_router():
    told = text(toy_figures(), toy_figures("validation"))
    assert "### In short" in told
    assert "best score and gain on validation" in told
    assert "after the fact" in text(toy_figures())
    assert "### In short" not in text(toy_figures(arms=("LLLLL",)))


def test_what_could_not_be_chosen_on_validation_is_named():
    few = toy_figures("validation", ("LLLLL", "MMMMM", "router@0", "router@0.5"))
    told = text(toy_figures(), few)
    assert "on the frontier of the validation questions: LLLLL, MMMMM." in told
    assert "Not evaluated there, and so not to be chosen: HHHHH, plain-2." in told
    assert "Not evaluated there" not in text(toy_figures(), toy_figures("validation"))


def test_a_joint_section_needs_a_chart():
    assert joint_section("Strategies", {}) == ""
    assert "[![a](b.png)](b.html)" in joint_section("Strategies", {"a": "b"})
