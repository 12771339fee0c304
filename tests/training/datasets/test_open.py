import runpy
from pathlib import Path

import pytest

from budgetmem.errors import ConfigError, InvalidInput, NotFound
from examples.own_dataset import NOTEBOOKS, Notebooks
from tests.training.datasets.records import paragraphs, written
from training.datasets import DATASETS, open_dataset, options_of

OWN = "examples.own_dataset:Notebooks"


def test_options_reach_the_dataset(tmp_path):
    written(tmp_path / "a.jsonl", [paragraphs()])
    dataset = open_dataset("hotpotqa", str(tmp_path), train="a.jsonl")
    assert len(dataset.questions("train")) == 1


def test_options_come_as_texts():
    assert options_of(["train=a.jsonl", "verify=true", "x=a=b", "y="]) == {
        "train": "a.jsonl",
        "verify": "true",
        "x": "a=b",
        "y": "",
    }


@pytest.mark.parametrize("given", [["train"], ["=a"], ["a=b", "a=b"]])
def test_a_text_that_is_no_option_is_refused(given):
    with pytest.raises(ConfigError, match="data option: "):
        options_of(given)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), (True, True)])
def test_a_switch_may_be_a_text(tmp_path, text, value):
    assert open_dataset("locomo", tmp_path, verify=text).verify is value


def test_a_switch_is_nothing_else(tmp_path):
    with pytest.raises(ConfigError, match="verify must be true or false, not 'yes'"):
        open_dataset("locomo", tmp_path, verify="yes")


@pytest.mark.parametrize("name", ["longmemeval-oracle", "longmemeval-s"])
def test_the_form_is_in_the_name(tmp_path, name):
    assert open_dataset(name, tmp_path).name == name
    with pytest.raises(ConfigError, match="no option 'form'; its options: split_file, order_file"):
        open_dataset(name, tmp_path, form="s")


@pytest.mark.parametrize("name", [*DATASETS, OWN])
def test_an_unknown_option_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=f"{name} has no option 'colour'"):
        open_dataset(name, tmp_path, colour="red")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("squad", "'squad' is not one of locomo, longmemeval-oracle, longmemeval-s, hotpotqa"),
        ("examples.none:Notebooks", "cannot be imported: No module named 'examples.none'"),
        ("examples.own_dataset:Diaries", "has no attribute 'Diaries'"),
        (":Notebooks", "nor of the form MODULE:CLASS"),
    ],
)
def test_an_unknown_name_is_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        open_dataset(name, NOTEBOOKS)


@pytest.mark.parametrize("name", [*DATASETS, OWN])
def test_a_path_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(NotFound, match="none is not there"):
        open_dataset(name, tmp_path / "none")


def test_the_example_is_a_dataset_of_three_splits():
    dataset = open_dataset(OWN, NOTEBOOKS)
    assert dataset.splits == {
        "train": ("greenhouse",),
        "validation": ("boatshed",),
        "test": ("choir",),
    }
    for split in dataset.splits:
        for question in dataset.questions(split):
            turns = {turn.id: turn for turn in dataset.histories()[question.history]}
            assert any(
                question.gold in f"{turns[each].speaker}: {turns[each].text}"
                for each in question.evidence
            )
            assert dataset.score(question, question.gold) == 1.0


def test_the_example_refuses_a_note_that_is_not_there(tmp_path):
    asked = {"ask": "Who?", "answer": "Ana", "notes": [1]}
    note = {"day": "2024-01-01", "author": "Ana", "text": "Hello."}
    record = {"name": "n", "split": "train", "notes": [note], "questions": [asked]}
    dataset = Notebooks(written(tmp_path / "n.jsonl", [record]))
    with pytest.raises(
        InvalidInput, match=r"line 1\.questions\[0\]\.notes\[0\]: there is no note 1"
    ):
        dataset.histories()


def test_the_example_runs(capsys):
    runpy.run_path(str(Path("examples/own_dataset.py")), run_name="__main__")
    assert "greenhouse" in capsys.readouterr().out
