import time
import warnings
from collections import Counter
from datetime import datetime

import pytest

from budgetmem.errors import ConfigError, InvalidInput, NotFound
from tests.toys import shared_file
from tests.training.datasets.records import instance, real, written
from training.datasets import DatasetWarning
from training.datasets.files import sha256
from training.datasets.longmemeval import LongMemEval, read_order, read_splits

SPLITS = {"train": [2, 0], "val": [1], "test": [3]}
ORDER = ["q0", "q1", "q2", "q3"]
unofficial = pytest.mark.filterwarnings("ignore:.*not the official file")


@pytest.fixture
def open_with(tmp_path):
    """Opens instances of a form, in one file or, for a folder, in a file each."""

    def opened(form, records, folder=False, splits=SPLITS, order=ORDER, **options):
        options.setdefault("split_file", written(tmp_path / "splits.json", splits))
        table = "".join(f"{place}\t{name}\n" for place, name in enumerate(order))
        (tmp_path / "order.tsv").write_text(f"index\tquestion_id\n{table}")
        options.setdefault("order_file", tmp_path / "order.tsv")
        if folder:
            path = tmp_path / "instances"
            path.mkdir()
            for number, record in enumerate(records):
                written(path / f"{number}.json", record)
        else:
            path = written(tmp_path / "lme.json", records)
        return LongMemEval(path, form, **options)

    return opened


@unofficial
def test_an_instance(open_with):
    dataset = open_with("oracle", [instance(name) for name in ORDER])
    assert dataset.name == "longmemeval-oracle"
    first, second = dataset.questions("train")
    assert (first.id, first.history, second.id) == ("q0", "q0", "q2")
    assert (first.gold, first.category) == ("1", "multi-session")
    assert first.asked_at == datetime(2023, 5, 30, 23, 40)
    assert first.evidence == ("a:0",)
    assert [turn.id for turn in dataset.histories()["q0"]] == ["a:0", "a:1"]
    assert dataset.score(first, "1 dog") == pytest.approx(2 / 3)


@unofficial
def test_files_in_another_order_give_the_same_splits_and_the_same_order(open_with):
    dataset = open_with("oracle", [instance(name) for name in ["q3", "q2", "q0", "q1"]])
    assert dataset.splits == {"train": ("q0", "q2"), "validation": ("q1",), "test": ("q3",)}


@unofficial
def test_a_folder_of_some_instances_says_how_many_are_missing(open_with):
    dataset = open_with(
        "s", [instance("q2", filler=True), instance("q1", filler=True)], folder=True
    )
    assert dataset.missing == {"train": ("q0",), "validation": (), "test": ("q3",)}
    with pytest.warns(DatasetWarning, match="longmemeval-s: 1 of 2 instances of 'train' are not"):
        assert [question.id for question in dataset.questions("train")] == ["q2"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(dataset.questions("validation")) == 1
    with pytest.raises(InvalidInput, match="no questions: 1 of 1 instances of 'test' are not here"):
        dataset.questions("test")


@unofficial
def test_a_whole_s_file_is_its_own_order_and_the_oracle_is_not(open_with):
    records = [instance(name, filler=True) for name in ORDER]
    assert open_with("s", records, order_file=None).splits["test"] == ("q3",)
    with pytest.raises(ConfigError, match="longmemeval-oracle needs the option order_file"):
        open_with("oracle", [instance()], order_file=None).histories()


@unofficial
def test_the_s_file_is_an_order_for_the_oracle_too(open_with, tmp_path):
    order = written(tmp_path / "s.json", [instance(name, filler=True) for name in ORDER])
    dataset = open_with("oracle", [instance(name) for name in ORDER[::-1]], order_file=order)
    assert dataset.splits["train"] == ("q0", "q2")


@unofficial
@pytest.mark.parametrize(("form", "other"), [("oracle", "s"), ("s", "oracle")])
def test_one_form_does_not_pass_for_the_other(open_with, form, other):
    dataset = open_with(form, [instance(filler=form == "oracle")])
    with pytest.raises(InvalidInput, match=rf"lme\.json\[0\].*open it as longmemeval-{other}"):
        dataset.histories()


def test_a_split_file_that_is_not_given_or_not_there_is_named(open_with, tmp_path):
    with pytest.raises(ConfigError, match="needs the option split_file"):
        open_with("oracle", [], split_file=None, verify=False)._split_path  # noqa: B018
    with pytest.raises(NotFound, match=r"none\.json is not there"):
        LongMemEval(tmp_path, "s", split_file=tmp_path / "none.json")._split_path  # noqa: B018


def test_other_files_are_a_warning_and_with_verify_an_error(open_with):
    with pytest.warns(DatasetWarning) as caught:
        open_with("oracle", [instance()]).histories()
    assert [str(each.message).split(":")[0] for each in caught] == ["lme.json", "splits.json"]
    with pytest.raises(InvalidInput, match=r"lme\.json: not the official file"):
        open_with("oracle", [instance()], verify=True).histories()
    with pytest.raises(ConfigError, match="no official sha256"):
        open_with("s", [instance()], folder=True, verify=True).histories()


def test_its_facts_are_what_the_splits_come_from(open_with, tmp_path):
    facts = open_with("oracle", [instance()]).facts
    assert facts == {
        "split_file": sha256(tmp_path / "splits.json"),
        "order_file": sha256(tmp_path / "order.tsv"),
    }
    other = open_with("oracle", [instance()], splits={**SPLITS, "train": [0]}).facts
    assert other["split_file"] != facts["split_file"]
    assert set(open_with("s", [instance(filler=True)], order_file=None).facts) == {"split_file"}


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"has no \*\.json"):
        LongMemEval(tmp_path, "s").files()


@unofficial
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"question_id": "other"}, r"lme\.json\[0\]\.question_id: 'other' is in no split"),
        ({"question_type": "odd"}, r"lme\.json\[0\]\.question_type: 'odd' is not one of single"),
        ({"question_date": "May"}, r"lme\.json\[0\]\.question_date: 'May' is not a time"),
        ({"question": ""}, r"lme\.json\[0\]\.question: is empty"),
        ({"answer": None}, r"lme\.json\[0\]\.answer: must be a string"),
        ({"answer": ""}, r"lme\.json\[0\]\.answer: is empty"),
        ({"haystack_sessions": []}, r"lme\.json\[0\]\.haystack_sessions: 0 sessions, but 1 ids"),
        ({"haystack_sessions": [["x"]]}, r"haystack_sessions\[0\]\[0\]: must be an object"),
        ({"haystack_sessions": [[]]}, r"lme\.json\[0\]: the history 'q0' has no turns"),
        ({"answer_session_ids": "a"}, r"answer_session_ids: must be a list"),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(open_with, fields, message):
    with pytest.raises(InvalidInput, match=message):
        open_with("oracle", [instance(**fields)]).histories()


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": [0], "val": []}, r"s\.json\[0\]\.test: is missing"),
        ({"train": [0], "val": ["1"], "test": []}, r"s\.json\.val\[0\]: must be an integer"),
        ({"train": [0], "val": [4], "test": []}, r"s\.json\.val\[0\]: no place 4"),
        ({"train": [0], "val": [-1], "test": []}, r"s\.json\.val\[0\]: no place -1"),
        ({"train": [0], "val": [], "test": [1, 0]}, r"test\[1\]: place 0 is in 'train' already"),
        ({"train": [0, 0], "val": [], "test": []}, r"train\[1\]: place 0 is in 'train' already"),
        ([], r"s\.json: must be one object"),
    ],
)
def test_a_malformed_split_file_is_refused(tmp_path, splits, message):
    with pytest.raises(InvalidInput, match=message):
        read_splits(written(tmp_path / "s.json", splits), ORDER)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("index\tid\n0\tq0\n", "line 1: no column question_id"),
        ("", "line 1: no column index, question_id"),
        ("index\tquestion_id\n0\tq0\n2\tq2\n", "line 3: index 2, not 1"),
        ("index\tquestion_id\n0\tq0\n1\tq0\n", r"\[1\]: 'q0' comes twice"),
        ("index\tquestion_id\n0\n", r"line 2\.question_id: must be a string"),
    ],
)
def test_a_malformed_order_is_refused(tmp_path, table, message):
    path = tmp_path / "order.tsv"
    path.write_text(table)
    with pytest.raises(InvalidInput, match=message):
        read_order(path)


@pytest.mark.shared
def test_the_oracle_file_has_the_splits_of_the_paper_and_reads_quickly():
    start = time.perf_counter()
    dataset = real("longmemeval-oracle")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts = {split: len(dataset.questions(split)) for split in dataset.splits}
    assert time.perf_counter() - start < 2.0
    assert counts == {"train": 297, "validation": 98, "test": 105}
    assert dataset.histories() is dataset.histories()
    # The split file takes 60/20/20 of every type: only the right order gives that.
    types = {s: Counter(q.category for q in dataset.questions(s)) for s in dataset.splits}
    for kind in types["train"]:
        whole = sum(count[kind] for count in types.values())
        assert types["train"][kind] / whole == pytest.approx(0.6, abs=0.02)
    questions = [q for split in dataset.splits for q in dataset.questions(split)]
    bare = [q.id for q in questions if not q.evidence]
    assert len(bare) == 21
    assert all(each.endswith("_abs") for each in bare)


@pytest.mark.shared
def test_the_instances_of_s_are_in_the_splits_that_the_index_names():
    dataset = real("longmemeval-s")
    rows = shared_file("data/longmemeval/s_index.tsv").read_text().splitlines()[1:]
    named = {row.split("\t")[1]: row.split("\t")[3] for row in rows}
    for split, key in (("train", "train"), ("validation", "val")):
        with pytest.warns(DatasetWarning, match="instances"):
            questions = dataset.questions(split)
        assert len(questions) == len({q.category for q in questions}) == 6
        assert {named[q.history] for q in questions} == {key}
        assert all(q.evidence for q in questions)
    with pytest.raises(InvalidInput, match="105 of 105 instances"):
        dataset.questions("test")
