"""The evaluation: every question in every way, kept at once, failures counted."""

import json
import sys
from contextlib import asynccontextmanager

import pytest

from budgetmem.errors import BackboneUnavailable
from tests.training.rollouts.test_walks import fakes, walker
from tests.training.test_record import hotpot
from training import evaluate
from training.rollouts.recording import Tally

GOLD = "an answer"


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs the command on fakes whose answerer says what `script` says; gives the exit code."""
    opened = []

    def run(*options, script=None, strategy="capacity"):
        @asynccontextmanager
        async def open_fakes(_, questions, **given):
            opened.append([question.id for question in questions])
            models = fakes(script) if script else fakes()
            yield walker(given["strategy"], models), Tally()

        monkeypatch.setattr(evaluate, "open_walker", open_fakes)
        data = ("--dataset", "hotpotqa", "--data", tmp_path / "data")
        splits = ("train=a.jsonl", "test=b.jsonl")
        given = [*data, *(part for each in splits for part in ("--data-option", each))]
        out = ("--split", "train", "--strategy", strategy, "--out", tmp_path / "out")
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, (*given, *out, *options))])
        try:
            evaluate.main()
        except SystemExit as exc:
            return exc.code
        return 0

    hotpot(tmp_path / "data")
    run.opened = opened
    run.out = tmp_path / "out"
    return run


def summary(command):
    return json.loads((command.out / "summary.json").read_text())


def test_every_question_is_answered_in_every_way_and_kept(command, capsys):
    assert command("--baselines", "no-memory,LLLLL", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    found = summary(command)
    assert found["arms"] == told
    assert set(told) == {"no-memory", "LLLLL"}
    assert all(row["attempted"] == row["answered"] == 3 for row in told.values())
    files = sorted(each.relative_to(command.out).as_posix() for each in command.out.rglob("*.json"))
    assert sum(each.startswith("LLLLL/") for each in files) == 3
    one = json.loads((command.out / files[0]).read_text())
    assert one["tiers"] == "LLLLL"
    assert len(one["receipt"]["steps"]) == 5
    assert {"code", "routers", "setting"} <= set(found)
    assert {"sha256", "prices", "prompts", "weights", "split"} <= set(found["setting"])


def test_a_second_run_answers_what_is_missing_alone(command):
    assert command("--baselines", "LLLLL", "--questions", 2) == 0
    assert command("--baselines", "LLLLL,HHHHH", "--questions", 3) == 0
    assert [len(each) for each in command.opened] == [2, 4]
    assert command("--baselines", "LLLLL,HHHHH", "--questions", 3) == 0
    assert len(command.opened) == 2


def test_what_fails_scores_0_and_is_tried_again(command, capsys):
    def gone(prompt):
        raise BackboneUnavailable("no [model]")

    assert command("--baselines", "no-memory", script=gone) == 1
    row = summary(command)["arms"]["no-memory"]
    assert (row["attempted"], row["answered"], len(row["failed"])) == (3, 0, 3)
    shown = capsys.readouterr().err
    assert "no [model]" in shown
    assert "3 answers failed: the same command tries them again" in shown
    assert command("--baselines", "no-memory") == 0
    assert summary(command)["arms"]["no-memory"]["answered"] == 3


def test_a_judge_grades_beside_the_score(command):
    def script(prompt):
        return '{"explanation": "Right.", "score": 1}' if "gold_answer" in prompt else GOLD

    assert command("--baselines", "no-memory", "--judge", "low", script=script) == 0
    row = summary(command)["arms"]["no-memory"]
    assert (row["judge"]["mean"], row["judged"]) == (1.0, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "nothing to evaluate: name a --router, or --baselines"),
        (("--baselines", "best"), "'best' is not one of no-memory"),
        (("--baselines", "LLLLL", "--judge", "huge"), "--judge: 'huge' is not one of low"),
        (("--router", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(command, capsys, options, message):
    assert command(*options) == 1
    assert message in capsys.readouterr().err


def test_results_of_another_strategy_are_not_mixed(command, capsys):
    assert command("--baselines", "LLLLL") == 0
    assert command("--baselines", "LLLLL", strategy="reasoning") == 1
    assert "another setting" in capsys.readouterr().err
