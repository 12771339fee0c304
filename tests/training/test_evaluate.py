"""The evaluation: every question in every way, kept at once, failures counted."""

import json
import sys
from contextlib import asynccontextmanager

import pytest

from budgetmem.errors import BackboneUnavailable
from budgetmem.features import NAMES
from budgetmem.tiers import Tier
from tests.router_folders import write_router
from tests.training import toy_outcomes as toys
from tests.training.datasets.records import paragraphs, written
from tests.training.rollouts.test_walks import fakes, walker
from tests.training.test_record import hotpot
from training import comparison, evaluate, nearest
from training.reporting.compared import compared
from training.reporting.figures import FILE, read_figures
from training.reporting.page import section
from training.rollouts.outcomes import Leaf, Node, OutcomeFile, Outcomes
from training.rollouts.paths import DEPTHS, planned, spell
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

        monkeypatch.setattr(comparison, "open_walker", open_fakes)
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
    assert {"codes", "routers", "setting"} <= set(found)
    assert found["codes"] == {one["code"]: 6}
    assert found["sample"] == {"questions": 3, "size": 3, "seed": 0}
    assert all(build["cost_usd"] > 0 for build in found["builds"].values())
    assert set(found["builds"]) == {"a0", "a1", "a2"}
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
    assert verdicts(command) == {"smollm2": (1.0, 3)}


def verdicts(command):
    """Mean and number of verdicts, by the beginning of the judge's name."""
    judges = summary(command)["arms"]["no-memory"].get("judges", {})
    return {name.partition("-")[0]: (each["mean"], each["n"]) for name, each in judges.items()}


def judging(verdict, asked):
    """Judges so, and puts down what it was asked for."""

    def script(prompt):
        judged = "gold_answer" in prompt
        asked.append("verdict" if judged else "answer")
        if judged and verdict is None:
            raise BackboneUnavailable("no judge")
        return verdict if judged else GOLD

    return script


def test_a_judge_that_comes_later_judges_what_is_there(command):
    asked = []
    right = judging('{"explanation": "", "score": 1}', asked)
    assert command("--baselines", "no-memory", script=right) == 0
    assert (verdicts(command), asked) == ({}, ["answer"] * 3)
    assert command("--baselines", "no-memory", "--judge", "low", script=right) == 0
    assert asked == ["answer"] * 3 + ["verdict"] * 3
    assert command.opened[1] == []  # nothing to ingest
    half = judging('{"explanation": "", "score": 0.5}', asked)
    assert command("--baselines", "no-memory", "--judge", "mid", script=half) == 0
    assert verdicts(command) == {"smollm2": (1.0, 3), "qwen2.5": (0.5, 3)}
    assert command("--baselines", "no-memory", "--judge", "mid") == 0
    assert len(command.opened) == 3


def test_a_judge_that_fails_is_counted_and_asked_again(command, capsys):
    asked = []
    options = ("--baselines", "no-memory", "--judge", "low")
    assert command(*options, script=judging(None, asked)) == 1
    assert "3 verdicts failed: the same command tries them again" in capsys.readouterr().err
    assert summary(command)["arms"]["no-memory"]["answered"] == 3
    assert command(*options, script=judging('{"explanation": "", "score": 0}', asked)) == 0
    assert verdicts(command) == {"smollm2": (0.0, 3)}
    assert asked.count("answer") == 3


def test_a_verdict_that_cannot_be_read_is_told_and_not_asked_for_again(command, capsys):
    options = ("--baselines", "no-memory", "--judge", "low")
    assert command(*options, script=judging("no verdict", [])) == 0
    assert capsys.readouterr().err.count("no verdict, and none when asked again") == 3
    assert verdicts(command) == {}
    assert command(*options) == 0
    assert len(command.opened) == 1


def test_ways_that_lack_answers_are_named_where_they_are_not_told(command, capsys):
    assert command("--baselines", "LLLLL", "--questions", 2) == 0
    assert command("--baselines", "HHHHH") == 0
    told = "LLLLL has 2 of 3 answers, and is not told: name it to add it"
    assert told in " ".join(capsys.readouterr().err.split())
    assert read_figures(command.out / FILE).head.arms == ("HHHHH",)


def test_a_judge_is_shown_every_gold_answer(command, tmp_path):
    record = {**paragraphs("a0"), "answers": ["a cat", "Tom"]}
    written(tmp_path / "data" / "a.jsonl", [record])
    shown = []

    def script(prompt):
        shown.append(prompt)
        return '{"explanation": "", "score": 1}' if "gold_answer" in prompt else GOLD

    assert command("--baselines", "no-memory", "--judge", "low", script=script) == 0
    assert shown[-1].count("<gold_answer>") == 2
    assert "a cat, Tom" not in shown[-1]


def test_answers_of_two_versions_of_the_code_are_told_apart(command, monkeypatch, capsys):
    for code, questions in (("one", 2), ("two", 3)):
        monkeypatch.setattr(comparison, "code_hash", lambda code=code: code)
        assert command("--baselines", "LLLLL", "--questions", questions) == 0
    assert summary(command)["codes"] == {"one": 2, "two": 1}
    assert "2 versions of the code answered" in capsys.readouterr().err


def arms(command):
    return list(summary(command)["arms"])


def test_a_router_answers_at_the_lambdas_that_it_takes(command, tmp_path, capsys):
    version = write_router(tmp_path / "mine", cost_weight={"min": 0.1, "max": 0.5})
    assert command("--router", tmp_path / "mine", "--cost-weights", "0,0.1,0.5,0.9") == 0
    assert arms(command) == ["mine@0.1", "mine@0.5"]
    assert "mine is asked at lambda 0.1, 0.5: it does not take 0, 0.9" in capsys.readouterr().err
    (told,) = summary(command)["routers"]["mine"]
    assert (told["version"], told["dataset"]) == (version, "none")
    figures = read_figures(command.out / FILE)
    assert figures.head.routers["mine"][0].version == version
    assert {each.tiers for each in figures.found["mine@0.1"]} == {"LLLLL"}
    assert "| mine@0.1 | 3 | 0 |" in section(compared(figures, None), {})


def test_two_routers_under_one_name_are_refused_before_models_are_opened(command, tmp_path, capsys):
    for name, tier in (("a", Tier.LOW), ("b", Tier.HIGH)):
        write_router(tmp_path / name / "router", tier=tier)
    both = [part for name in "ab" for part in ("--router", tmp_path / name / "router")]
    assert command(*both) == 1
    assert "named twice" in capsys.readouterr().err
    ranges = ("--cost-weights", "0.1"), ("--cost-weights", "0.9")
    assert command(*both[:2], *ranges[0]) == 0
    assert command(*both[2:], *ranges[1]) == 1
    assert "'router' is the router capacity-" in capsys.readouterr().err
    assert len(command.opened) == 1


def test_routers_for_one_lambda_each_are_one_way_together(command, tmp_path):
    options = []
    for name, tier, weight in (("a", Tier.LOW, 0.9), ("b", Tier.HIGH, 0.2)):
        write_router(tmp_path / name, tier=tier, cost_weight={"min": weight, "max": weight})
        options += ["--router", f"seven={tmp_path / name}"]
    assert command(*options) == 0
    assert arms(command) == ["seven@0.9", "seven@0.2"]
    figures = read_figures(command.out / FILE)
    assert {each.tiers for each in figures.found["seven@0.9"]} == {"LLLLL"}
    assert {each.tiers for each in figures.found["seven@0.2"]} == {"HHHHH"}
    assert len(figures.head.routers["seven"]) == 2


def test_a_router_that_takes_none_of_the_lambdas_is_refused(command, tmp_path, capsys):
    write_router(tmp_path / "mine", cost_weight={"min": 0.5, "max": 0.6})
    assert command("--router", tmp_path / "mine", "--cost-weights", "0,0.9") == 1
    assert "mine takes lambdas from 0.5 to 0.6" in capsys.readouterr().err
    assert command.opened == []


def test_a_router_that_was_trained_on_these_questions_is_told(command, tmp_path, capsys):
    assert command("--baselines", "LLLLL") == 0
    sha256 = summary(command)["setting"]["sha256"]
    write_router(tmp_path / "mine", training={"sha256": sha256, "split": "train"})
    assert command("--router", tmp_path / "mine", "--cost-weights", "0.1") == 0
    told = "warning: mine was trained on the train split of these very data"
    assert told in capsys.readouterr().err


def recording(folder, setting, history):
    """Outcomes of three questions to another history, by every path that is planned."""
    node, outcomes = Node((0.0,) * len(NAMES), ("c",)), []
    for number in range(3):
        names = [spell(path) for path in planned(f"q{number}")]
        leaves = {
            name: Leaf(0.1 * len(set(name)), (1e-6 * (1 + name.count("H")),) * 7, 3)
            for name in names
        }
        nodes = {name[:depth]: node for name in names for depth in DEPTHS.values()}
        outcomes.append(Outcomes(f"q{number}", history, "c", nodes, leaves, {}))
    return toys.write(folder / "o.jsonl", OutcomeFile(setting, NAMES, tuple(outcomes)))


def test_nearest_neighbours_are_of_other_histories(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(nearest, "embedded", lambda file, _: toys.vectors(file))
    assert command("--baselines", "LLLLL") == 0
    setting = summary(command)["setting"]
    there = recording(tmp_path, setting, "elsewhere")
    assert command("--nearest", there, "--cost-weights", "0,0.3") == 0
    assert arms(command) == ["nearest@0", "nearest@0.3"]
    (told,) = summary(command)["routers"]["nearest"]
    assert (told["sha256"], told["split"], told["cost_weights"]) == (
        setting["sha256"],
        "train",
        None,
    )
    there.unlink()
    assert command("--nearest", recording(tmp_path, setting, "a1")) == 1
    assert "has the history 'a1', which is evaluated" in capsys.readouterr().err
    there.unlink()
    other = {**setting, "encoder": "another"}
    assert command("--nearest", recording(tmp_path, other, "elsewhere")) == 1
    assert "encoder: is not the one of the profile small" in capsys.readouterr().err


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
