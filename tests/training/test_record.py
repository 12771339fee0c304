"""The recorder: questions side by side, failures counted, the rest written at once."""

import argparse
import asyncio
import hashlib
import io
import json
from dataclasses import dataclass, field

import pytest
from rich.console import Console

from budgetmem.config import load_profile
from budgetmem.errors import BackboneUnavailable
from training.datasets import open_dataset
from training.datasets.base import Question
from training.outcomes import Leaf, Node, Outcomes, Writer, read
from training.paths import DEPTHS, planned, spell
from training.record import Recorder, _setting
from training.recording import Tally

SMALL = load_profile("small")


@dataclass
class FakeWalker:
    """Comes to the same for every question, and fails for some."""

    strategy: str = "capacity"
    failing: frozenset[str] = frozenset()
    at_once: int = 0
    most: int = 0
    walked: list = field(default_factory=list)

    async def outcomes(self, question, paths):
        self.walked.append((question.id, paths))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        if question.id in self.failing:
            raise BackboneUnavailable(f"no [model] for {question.id}")
        names = [spell(path) for path in paths]
        node, leaf = Node((), ("c",)), Leaf(0.5, (1e-6,), 3)
        nodes = {name[:depth]: node for name in names for depth in DEPTHS.values()}
        return Outcomes(question.id, "h", "c", nodes, dict.fromkeys(names, leaf), {})


def questions(count):
    return [Question(f"q{number}", "h", "?", "gold", "c", ()) for number in range(count)]


def recorder(path, walker, slots=2, constants=False):
    console = Console(file=io.StringIO(), width=200)
    writer = Writer(path, {}, ())
    return Recorder(walker, writer, Tally(made=7), constants, asyncio.Semaphore(slots), console)


async def test_every_question_is_walked_by_its_own_plan_and_written(tmp_path):
    path, walker = tmp_path / "o.jsonl", FakeWalker()
    assert await recorder(path, walker).walk_all(questions(5)) == 0
    assert walker.walked == [(f"q{n}", planned(f"q{n}")) for n in range(5)]
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


async def test_constant_paths_are_walked_if_asked_for(tmp_path):
    walker = FakeWalker()
    await recorder(tmp_path / "o.jsonl", walker, constants=True).walk_all(questions(1))
    assert walker.walked == [("q0", planned("q0", constants=True))]


def test_the_setting_says_what_changes_the_figures(tmp_path):
    data = tmp_path / "locomo10.json"
    data.write_bytes(b"[]")
    dataset = open_dataset("locomo", data)
    args = argparse.Namespace(
        dataset="locomo", split="train", strategy="capacity", max_tokens=None, constants=False
    )
    setting = _setting(args, SMALL, dataset)
    assert setting["sha256"] == hashlib.sha256(b"[]").hexdigest()
    assert setting["dataset"] == "locomo"
    assert setting["max_tokens"] == SMALL.retrieval.max_tokens
    assert setting["strategy"] == "capacity"
    assert setting["encoder"] == SMALL.encoder.asset
    assert set(setting["backbones"]) == set(SMALL.backbones)
    assert setting["prices"]["high"] == [0.02886, 0.02886]
    assert set(setting["prices"]) == {*SMALL.backbones, "encoder", "tagger"}
    assert json.loads(json.dumps(setting)) == setting
    args.max_tokens = 99
    assert _setting(args, SMALL, dataset)["max_tokens"] == 99
