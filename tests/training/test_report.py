"""The report: one command from figures to a page, the same bytes each time."""

import io
import re
import sys

import pytest
from rich.console import Console

from budgetmem.errors import ConfigError
from tests.training.reporting.toy_figures import toy_figures
from training import report
from training.reporting.chart_files import SCRIPT
from training.reporting.figures import FILE, write_figures

QUIET = Console(file=io.StringIO())


# A chart takes seconds to draw, and many of them where others work too.
@pytest.mark.timeout(900)
def test_one_command_makes_the_page_and_its_charts(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    write_figures(tmp_path / "run" / FILE, toy_figures())
    write_figures(tmp_path / "validation.gz", toy_figures("validation"))
    given = [str(tmp_path / "run"), str(tmp_path / "validation.gz")]
    pages = []
    for out in ("a", "b"):
        argv = ["report.py", *given, "--out", str(tmp_path / out)]
        monkeypatch.setattr(sys, "argv", argv)
        report.main()
        pages.append((tmp_path / out / report.PAGE).read_bytes())
        monkeypatch.setattr(report, "save", lambda *_: None)  # once will do
    assert pages[0] == pages[1]
    text = pages[0].decode()
    assert "| router@0 |" in text
    assert "on the frontier of the validation questions: LLLLL, MMMMM" in text
    assert "known after the fact" in text  # the validation's own section
    for stem in ("toy-test-capacity-frontier", "toy-validation-capacity-tiers-router"):
        assert f"({stem}.png)" in text
        assert (tmp_path / "a" / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
        html = (tmp_path / "a" / f"{stem}.html").read_text()
        # Works without a network: all that it loads is beside it.
        assert re.findall(r'src="([^"]*)"', html) == [SCRIPT]
    assert "vegaEmbed" in (tmp_path / "a" / SCRIPT).read_text()


def test_what_differs_in_strategy_or_budget_alone_is_drawn_together(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(report, "save", lambda chart, stem, title: drawn.append(stem.name))
    others = [toy_figures(strategy="reasoning"), toy_figures(max_tokens=800)]
    report.report([toy_figures(), *others], tmp_path, QUIET)
    text = (tmp_path / report.PAGE).read_text()
    joint = ["toy-test-400-tokens-over-strategy", "toy-test-capacity-over-max-tokens"]
    assert [stem for stem in drawn if "-over-" in stem] == joint
    assert all(f"({stem}.png)" in text for stem in joint)
    assert "## toy, test, capacity, 800 tokens" in text
    assert len(set(drawn)) == len(drawn)


def test_figures_of_one_thing_twice_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="two of the figures"):
        report.report([toy_figures(), toy_figures()], tmp_path, QUIET)


def test_a_constant_that_is_best_on_validation_must_have_been_tried(tmp_path):
    arms = ("LLLLL", "router@0")
    with pytest.raises(ConfigError, match="MMMMM: among the best on validation, and not evaluated"):
        report.report([toy_figures("validation"), toy_figures(arms=arms)], tmp_path, QUIET)


def test_other_settings_are_not_taken_for_the_validation(tmp_path):
    other = toy_figures("validation", max_tokens=800)
    report.report([other, toy_figures()], tmp_path, QUIET)
    assert "on the frontier of the validation" not in (tmp_path / report.PAGE).read_text()
