from __future__ import annotations

import pytest
from rich.console import Console

from budgetmem.modules import MODULES
from server.demo.report import Row, saved, show, untrained
from tests.server.fake_engine import INFO


def row(id_="q1", *, tiers="HHHHH", **changes):
    """A row; `tiers` has a letter a module."""
    names = {"L": "low", "M": "mid", "H": "high"}
    fields = {
        "id": id_,
        "question": "Which pet?",
        "gold": ["a cat", "cat"],
        "tier": None,
        "cost_weight": None,
        "router": "capacity-00000001",
        "tiers": {module: names[letter] for module, letter in zip(MODULES, tiers, strict=True)},
        "rungs": dict.fromkeys(MODULES, "apply rules"),
        "fallbacks": {},
        "memory": "Ana: [shares an image: a cat]",
        "answer": "a cat",
        "tokens": 100,
        "memory_words": 6,
        "cost_usd": 1e-5,
        "milliseconds": 12.0,
    }
    return Row(**fields | changes)


def printed(rows, width=140):
    console = Console(width=width)
    with console.capture() as capture:
        show(console, INFO, "capacity", rows)
    return capture.get()


def test_what_lambda_saved_is_said_of_cost_tokens_and_tiers():
    rows = [
        row("q1", cost_weight=0.9, tiers="LMLHH", tokens=40, cost_usd=2e-6),
        row("q1", cost_weight=0.3, tiers="LLLLL", tokens=1, cost_usd=0.0),
        row("q1", cost_weight=0.0, tiers="HHHHH", tokens=100, cost_usd=1e-5),
        row("q2", cost_weight=0.9, tiers="HLHHH", tokens=60, cost_usd=4e-6),
        row("q2", cost_weight=0.0, tiers="HHHHM", tokens=100, cost_usd=2e-5),
    ]
    assert saved(rows) == (
        "From lambda 0 to 0.9 a question went from 0.0000150 to 0.0000030 USD (80% less) and from "
        "100 to 50 tokens (50% less). Cheaper tiers: filter in 1 of 2, entity in 2 of 2, temporal "
        "in 1 of 2 questions."
    )


@pytest.mark.parametrize(
    ("tokens", "cost_usd", "says"),
    [
        (100, 1e-5, "0.0000100 USD (the same) and from 100 to 100 tokens (the same)"),
        (150, 2e-5, "0.0000200 USD (100% more) and from 100 to 150 tokens (50% more)"),
    ],
)
def test_where_lambda_saved_nothing_that_is_said(tokens, cost_usd, says):
    rows = [row(cost_weight=0.0), row(cost_weight=1.0, tokens=tokens, cost_usd=cost_usd)]
    went = f"From lambda 0 to 1 a question went from 0.0000100 to {says}. "
    assert saved(rows) == went + "No module got a cheaper tier."


def test_one_lambda_alone_saves_nothing():
    assert "(the same)" in saved([row(cost_weight=0.3)])


def test_tiers_are_one_letter_a_module():
    weights = {0.0: "HHHMM", 0.9: "LLHML"}
    lines = printed([row(cost_weight=at, tiers=tiers) for at, tiers in weights.items()])
    cells = [[cell.strip() for cell in line.split("│")] for line in lines.splitlines()]
    shown = {line[2]: "".join(line[3:8]) for line in cells if len(line) == 12 and line[2]}
    assert shown == {"0": "HHHMM", "0.9": "LLHML"}


def test_what_models_say_is_shown_as_it_is():
    shown = printed([row(tier="low", answer="a [/bold] cat\n\n[red]")])
    assert "[shares an image: a cat]" in " ".join(shown.split())
    assert "a [/bold] cat [red]" in shown


def test_without_a_router_the_tables_are_of_tiers():
    shown = printed([row(tier=tier) for tier in ("low", "mid", "high")])
    assert "strategy capacity: low is `ask direct @ low`" in shown
    assert "lambda 0" not in shown
    assert untrained(INFO, "capacity").split(".")[0] in " ".join(shown.split())
