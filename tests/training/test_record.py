"""The recorder: questions side by side, failures counted, the rest written at once."""

import asyncio
import io
import json
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from rich.console import Console

from budgetmem.errors import (
    BackboneUnavailable,
    BudgetMemError,
    ConfigError,
    DeadlineExceeded,
    InvalidInput,
    Overloaded,
)
from budgetmem.features import NAMES
from budgetmem.tiers import Tier
from tests.training.datasets.records import paragraphs, written
from training import record
from training.datasets.base import Question
from training.datasets.files import sha256
from training.record import Plan, Recorder
from training.rollouts.outcomes import Leaf, Node, Outcomes, Writer, read
from training.rollouts.paths import DEPTHS, UNIFORM, constant, parse, planned, spell
from training.rollouts.recording import Tally

PLAN = Plan()


@dataclass
class FakeWalker:
    """Comes to the same for every question, and fails for some."""

    strategy: str = "capacity"
    failing: frozenset[str] = frozenset()
    failure: BudgetMemError | None = None
    at_once: int = 0
    most: int = 0
    walked: list = field(default_factory=list)

    async def chosen(self, question, routers, cost_weights):
        return [parse(routers)] if cost_weights else []

    async def outcomes(self, question, paths):
        self.walked.append((question.id, paths))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        if question.id in self.failing:
            raise self.failure or BackboneUnavailable(f"no [model] for {question.id}")
        names = [spell(path) for path in paths]
        node, leaf = Node((0.0,) * len(NAMES), ("c",)), Leaf(0.5, (1e-6,) * 7, 3)
        nodes = {name[:depth]: node for name in names for depth in DEPTHS.values()}
        return Outcomes(question.id, "h", "c", nodes, dict.fromkeys(names, leaf), {})


def questions(count):
    return [Question(f"q{number}", "h", "?", "gold", "c", ()) for number in range(count)]


def recorder(path, walker, slots=2, plan=PLAN, routed=()):
    console = Console(file=io.StringIO(), width=200)
    writer = Writer(path, {}, NAMES)
    return Recorder(walker, writer, Tally(made=7), plan, asyncio.Semaphore(slots), console, routed)


async def test_every_question_is_walked_by_its_own_plan_and_written(tmp_path):
    path, walker = tmp_path / "o.jsonl", FakeWalker()
    assert await recorder(path, walker).walk_all(questions(5)) == 0
    assert walker.walked == [(f"q{n}", list(planned(f"q{n}"))) for n in range(5)]
    assert {each.question for each in read(path).outcomes} == {f"q{n}" for n in range(5)}


@pytest.mark.parametrize("slots", [1, 3])
async def test_only_so_many_questions_are_walked_at_once(tmp_path, slots):
    walker = FakeWalker()
    await recorder(tmp_path / "o.jsonl", walker, slots).walk_all(questions(8))
    assert walker.most == slots


async def test_a_question_that_fails_is_told_and_not_written_and_the_others_go_on(tmp_path):
    path, walker = tmp_path / "o.jsonl", FakeWalker(failing=frozenset({"q1", "q2"}))
    each = recorder(path, walker)
    assert await each.walk_all(questions(4)) == 2
    assert {found.question for found in read(path).outcomes} == {"q0", "q3"}
    assert "q1: no [model] for q1" in each.console.file.getvalue()
    assert "q0: 7 replies made, 0 known" in each.console.file.getvalue()


@pytest.mark.parametrize(
    "failure",
    [DeadlineExceeded("late"), Overloaded("full"), InvalidInput("query", "is too long")],
)
async def test_a_question_without_room_or_time_or_too_long_is_counted_too(tmp_path, failure):
    path, walker = tmp_path / "o.jsonl", FakeWalker(failing=frozenset({"q1"}), failure=failure)
    assert await recorder(path, walker).walk_all(questions(3)) == 1
    assert {found.question for found in read(path).outcomes} == {"q0", "q2"}


async def test_what_a_router_chooses_is_walked_too_unless_it_is_known(tmp_path):
    path, walker = tmp_path / "o.jsonl", FakeWalker()
    held = {"q0": set(map(spell, planned("q0"))), "q1": {*map(spell, planned("q1")), "LLLLM"}}
    routed = [("LLLLM", (0.1, 0.3)), ("HHHHH", ())]
    each = recorder(path, walker, plan=Plan(held), routed=routed)
    assert await each.walk_all(questions(3)) == 0
    assert walker.walked == [
        ("q0", [parse("LLLLM")]),
        ("q2", [*planned("q2"), parse("LLLLM")]),
    ]


def test_a_plan_wants_each_path_once_and_none_that_is_held():
    plan = Plan({"q0": {"LLLLL"}}, [*UNIFORM, parse("LLLLM"), constant(Tier.LOW)])
    wanted = {*planned("q0"), *UNIFORM, parse("LLLLM")} - {constant(Tier.LOW)}
    missing = plan.missing("q0", [parse("LLLLM")])
    assert set(missing) == wanted
    assert len(missing) == len(wanted)


def test_without_questions_own_plans_all_have_the_same_paths():
    plan = Plan({"q1": {"LLLLM"}}, [parse("LLLLM"), parse("LMMMM")], own=False)
    assert plan.missing("q0") == [parse("LLLLM"), parse("LMMMM")]
    assert plan.missing("q1", [parse("LLLLL")]) == [parse("LMMMM"), parse("LLLLL")]


async def test_an_error_that_is_no_failure_of_models_ends_all(tmp_path):
    walker = FakeWalker(failing=frozenset({"q0"}), failure=ConfigError("no"))
    with pytest.raises(ConfigError):
        await recorder(tmp_path / "o.jsonl", walker, slots=1).walk_all(questions(9))
    assert len(walker.walked) <= 2


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs the command on fakes; gives the exit code."""
    walker = FakeWalker()

    @asynccontextmanager
    async def opened(*_, **__):
        yield walker, Tally()

    def run(*options):
        monkeypatch.setattr(record, "open_walker", opened)
        given = ["--strategy", "capacity", "--recording", tmp_path / "r.sqlite", *options]
        monkeypatch.setattr(sys, "argv", ["record.py", *map(str, given)])
        try:
            record.main()
        except SystemExit as exc:
            return exc.code
        return 0

    run.walked = walker.walked
    return run


def hotpot(folder):
    folder.mkdir()
    written(folder / "a.jsonl", [paragraphs(f"a{number}") for number in range(3)])
    written(folder / "b.jsonl", [paragraphs("b0")])
    return folder


def test_datasets_with_options_can_be_recorded(command, tmp_path):
    data, output = hotpot(tmp_path / "data"), tmp_path / "o.jsonl"
    options = ("--data-option", "train=a.jsonl", "--data-option", "validation=b.jsonl")
    wanted = ("--dataset", "hotpotqa", "--data", data, *options, "--output", output)
    assert command(*wanted, "--questions", 2) == 0
    assert len(command.walked) == 2
    found = read(output)
    assert len(found.outcomes) == 2
    facts = {"train": sha256(data / "a.jsonl"), "validation": sha256(data / "b.jsonl")}
    assert found.setting["data_options"] == facts
    assert str(tmp_path) not in json.dumps(dict(found.setting))
    assert command(*wanted, "--questions", 3) == 0
    assert len(command.walked) == 3


def test_paths_of_one_tier_may_be_asked_for_later(command, tmp_path):
    data, output = hotpot(tmp_path / "data"), tmp_path / "o.jsonl"
    options = ("--data-option", "train=a.jsonl", "--data-option", "validation=b.jsonl")
    wanted = ("--dataset", "hotpotqa", "--data", data, *options, "--output", output)
    assert command(*wanted, "--questions", 1) == 0
    assert command(*wanted, "--questions", 2, "--constants") == 0
    walked = [name for name, _ in command.walked]
    assert walked[0] == walked[1] != walked[2]
    found = read(output).outcomes
    assert [each.question for each in found] == [walked[0], walked[2]]
    for each in found:
        assert set(each.leaves) == {*map(spell, planned(each.question)), *map(spell, UNIFORM)}
    assert command(*wanted, "--questions", 2, "--constants") == 0
    assert len(command.walked) == 3


def test_paths_that_are_named_are_walked_too(command, tmp_path):
    data, output = hotpot(tmp_path / "data"), tmp_path / "o.jsonl"
    options = ("--data-option", "train=a.jsonl", "--data-option", "validation=b.jsonl")
    wanted = ("--dataset", "hotpotqa", "--data", data, *options, "--output", output)
    assert command(*wanted, "--questions", 2, "--paths", "LLLLM,LLLMM") == 0
    for each in read(output).outcomes:
        assert {"LLLLM", "LLLMM"} <= set(each.leaves)


def test_a_router_that_is_none_is_told_before_anything_is_written(command, tmp_path, capsys):
    data, output = hotpot(tmp_path / "data"), tmp_path / "o.jsonl"
    options = ("--data-option", "train=a.jsonl", "--data-option", "validation=b.jsonl")
    wanted = ("--dataset", "hotpotqa", "--data", data, *options, "--output", output)
    assert command(*wanted, "--router", tmp_path) == 1
    assert "router.json" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--data-option", "train"), "'train' is not of the form NAME=VALUE"),
        (("--data-option", "colour=red"), "has no option 'colour'"),
        (("--data-option", "train=a.jsonl"), "is a folder: name a file of outcomes"),
    ],
)
def test_what_cannot_be_recorded_is_told(command, tmp_path, capsys, options, named):
    data = hotpot(tmp_path / "data")
    wanted = ("--dataset", "hotpotqa", "--data", data, *options, "--output", tmp_path)
    assert command(*wanted) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert named in told


def test_without_any_path_there_is_nothing_to_record(command, capsys):
    assert command("--data", "d", "--output", "o", "--no-plan") == 2
    assert "--no-plan leaves nothing to walk" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--paths", "LLLLM,LLX", "'LLX' is no path: it takes 5 of LMH"),
        ("--cost-weights", "0.1,-1", "must be numbers of at least 0 with commas"),
        ("--cost-weights", "0.1,much", "must be numbers of at least 0 with commas"),
        ("--cost-weights", "nan", "must be numbers of at least 0 with commas"),
    ],
)
def test_paths_and_lambdas_that_are_none_are_refused(command, capsys, option, value, named):
    assert command("--data", "d", "--output", "o", option, value) == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--questions", "--max-tokens", "--concurrency"])
def test_numbers_below_1_are_refused(command, capsys, option):
    assert command("--data", "d", "--output", "o", option, "-5") == 2
    assert "must be a whole number above 0" in capsys.readouterr().err
