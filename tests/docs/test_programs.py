"""The checks of commands fail for what is none."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from tests.docs.programs import PROGRAMS, PROJECT


@pytest.mark.parametrize(
    "words",
    [
        ["install", "budgetmem"],
        ["install", "budgetmem[http,otel]"],
        ["install", "--no-deps", "--editable", ".[embedded]"],
        ["install", "budgetmem-0.1.0-....whl[embedded]"],
        ["install", "dist/budgetmem-0.1.0-cp311-cp311-linux_x86_64.whl"],
    ],
)
def test_what_pip_can_install(words, monkeypatch):
    PROGRAMS["pip"](words, monkeypatch)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["instal", "budgetmem"],
        ["install"],
        ["install", "budgetmen"],
        ["install", "requests"],
        ["install", "budgetmem[htpp]"],
        ["install", "budgetmem[http"],
        ["install", ".[embedded,nothing]"],
        ["install", "other-0.1.0-py3-none-any.whl"],
    ],
)
def test_what_pip_cannot_install_here(words, monkeypatch):
    with pytest.raises(AssertionError):
        PROGRAMS["pip"](words, monkeypatch)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("budgetmem", ["extract", "friends", "why?", "--tier", "lowest"]),
        ("python", ["-m", "training.nothing"]),
        ("make", ["nothing"]),
        ("pytest", ["tests/nothing.py"]),
    ],
)
def test_other_programs_refuse_what_they_would_not_take(program, words, monkeypatch):
    with pytest.raises(AssertionError):
        PROGRAMS[program](words, monkeypatch)


def test_the_hubs_program_is_installed_with_the_package():
    """Pages, the doctor and the log advise `hf download`: 0.34.0 was the first with `hf`."""
    needed = {each.name: each for each in map(Requirement, PROJECT["dependencies"])}
    assert not needed["huggingface-hub"].specifier.contains("0.33.5")
