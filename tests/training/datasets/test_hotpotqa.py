import hashlib
import json

import pytest

from budgetmem.chunking import Line, pack
from budgetmem.errors import ConfigError, InvalidInput, NotFound
from budgetmem.importers.hotpotqa import documents, split_documents
from tests.toys import Words, shared_file
from tests.training.datasets.records import paragraphs, real, written
from training.datasets.files import sha256
from training.datasets.hotpotqa import HotpotQA

LONG = {
    "index": 7,
    "input": "Who barks?",
    "answers": ["a dog", "Rex"],
    "num_docs": 2,
    "context": "Document 1:\nCat\nIt purrs.\n\nDocument 2:\nDog\nIt barks.",
}


def opened(tmp_path, **records):
    files = {
        split: written(tmp_path / f"{split}.jsonl", content) for split, content in records.items()
    }
    return HotpotQA(tmp_path, **files)


def test_the_distractor_form(tmp_path):
    dataset = opened(tmp_path, train=[paragraphs("h0")], test=[paragraphs("h1", type="comparison")])
    assert dataset.splits == {"train": ("h0",), "validation": (), "test": ("h1",)}
    (question,) = dataset.questions("train")
    assert (question.gold, question.category, question.evidence) == ("a cat", "bridge", ("d1",))
    assert question.gold_answers == ("a cat",)
    assert [turn.speaker for turn in dataset.histories()["h0"]] == ["Dog", "Cat"]
    assert dataset.score(question, "cats") == 1.0


def test_its_facts_are_the_hashes_of_the_splits_files(tmp_path):
    one = opened(tmp_path, train=[paragraphs("h0")], test=[paragraphs("h1")])
    other = HotpotQA(tmp_path, train="test.jsonl", test="train.jsonl")
    assert one.sha256 == other.sha256
    assert one.facts == {split: sha256(tmp_path / f"{split}.jsonl") for split in ("train", "test")}
    assert other.facts == {"train": one.facts["test"], "test": one.facts["train"]}


def test_facts_as_columns(tmp_path):
    facts = {"title": ["Dog", "Cat", "Cat"], "sent_id": [0, 0, 1]}
    (question,) = opened(tmp_path, train=[paragraphs(supporting_facts=facts)]).questions("train")
    assert question.evidence == ("d0", "d1")


def test_the_long_form(tmp_path):
    other = {**LONG, "input": "Who purrs?"}
    dataset = HotpotQA(
        tmp_path,
        train=written(tmp_path / "a.json", [LONG]),
        test=written(tmp_path / "b.json", [other]),
    )
    (question,) = dataset.questions("train")
    assert (question.id, question.text, question.gold) == ("train-0", "Who barks?", "a dog, Rex")
    assert question.gold_answers == ("a dog", "Rex")
    assert (question.category, question.evidence) == ("untyped", ())
    assert [turn.text for turn in dataset.histories()["train-0"]] == ["It purrs.", "It barks."]
    # An `index` is the same in both files.
    assert dataset.questions("test")[0].id == "test-0"


def test_a_split_without_a_file_says_what_to_give(tmp_path):
    dataset = opened(tmp_path, train=[paragraphs()])
    with pytest.raises(InvalidInput, match=r"'test' of hotpotqa has no questions: .*test=\.\.\."):
        dataset.questions("test")
    empty = opened(tmp_path, train=[paragraphs()], test=[])
    with pytest.raises(InvalidInput, match=r"test\.jsonl has no records"):
        empty.questions("test")


def test_no_file_or_one_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="name the file of a split"):
        HotpotQA(tmp_path).histories()
    with pytest.raises(NotFound, match=r"none\.json is not there"):
        HotpotQA(tmp_path, train="none.json").histories()


def test_a_dataset_without_records_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"train\.jsonl: no questions"):
        opened(tmp_path, train=[]).histories()


@pytest.mark.parametrize("name", ["h0", "of another collection"])
def test_a_question_in_two_splits_is_refused_whatever_its_id(tmp_path, name):
    again = paragraphs(name, question="what PURRS in  h0?")
    message = r"test\.jsonl line 1: .*train\.jsonl line 1 too: .*'train' and 'test'"
    with pytest.raises(InvalidInput, match=message):
        opened(tmp_path, train=[paragraphs("h0")], test=[again]).histories()


def test_a_question_twice_in_one_file_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"train\.jsonl line 2: a second history named 'h0'"):
        opened(tmp_path, train=[paragraphs(), paragraphs()]).histories()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (paragraphs(answer=""), r"train\.jsonl line 1\.answer: is empty"),
        (paragraphs(question=1), r"line 1\.question: must be a string"),
        (paragraphs(type=1), r"line 1\.type: must be a string"),
        (paragraphs(context=[]), r"line 1: the history 'h0' has no turns"),
        (paragraphs(context=["x"]), r"line 1\.context\[0\]: must be a list"),
        (paragraphs(context={"title": ["a"], "sentences": []}), r"context: 1 titles, but 0 lists"),
        (paragraphs(supporting_facts=[["x"]]), r"supporting_facts\[0\]: must be a title and"),
        (
            paragraphs(supporting_facts=[[["x"], 0]]),
            r"supporting_facts\[0\]\[0\]: must be a string",
        ),
        (paragraphs(supporting_facts={"title": [1]}), r"facts\.title\[0\]: must be a string"),
        ({**LONG, "answers": []}, r"line 1\.answers: is empty"),
        ({**LONG, "answers": ["a", " "]}, r"line 1\.answers\[1\]: is empty"),
        ({"index": 0, "input": "Who?", "context": LONG["context"]}, r"answer: is missing"),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(tmp_path, record, message):
    with pytest.raises(InvalidInput, match=message):
        opened(tmp_path, train=[record]).histories()


@pytest.mark.shared
def test_the_real_files():
    dataset = real("hotpotqa")
    counts = {split: len(dataset.questions(split)) for split in dataset.splits}
    assert counts == {"train": 300, "validation": 300, "test": 500}
    for split in dataset.splits:
        assert all(len(question.evidence) == 2 for question in dataset.questions(split))


@pytest.mark.shared
def test_the_long_file_shares_a_question_with_a_training_file():
    folder = shared_file("data/hotpotqa")
    alone = HotpotQA(folder, test="lciteeval_long6.json")
    assert len(alone.questions("test")) == 6
    assert min(len(turns) for turns in alone.histories().values()) >= 50
    with pytest.raises(InvalidInput, match="leave one of the files out"):
        HotpotQA(folder, train="rpt_train.jsonl", test="lciteeval_long6.json").histories()


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.shared
def test_documents_and_their_packing_are_the_references():
    """Our own units keep each document in a session of its own; with documents as lines of one
    session, as here, they are the reference's wherever it cuts no document.
    """
    vectors = json.loads(shared_file("vectors/chunks.json").read_text())["hotpotqa"]
    lines = shared_file("data/hotpotqa/rpt_dev.jsonl").read_text("utf-8").splitlines()
    uncut = 0
    for vector in vectors:
        record = json.loads(lines[vector["record_index"]])
        found = [f"{title}\n{text}" for title, text in documents(record, "record")]
        assert [sha(each) for each in found] == vector["documents_sha256"]
        headed = [f"Document {number}:\n{each}" for number, each in enumerate(found, start=1)]
        context = "\n\n".join(headed)
        assert sha(context) == vector["context_sha256"]
        assert [f"{title}\n{text}" for title, text in split_documents(context)] == found
        room = vector["max_tokens_per_chunk"]
        if vector["tokenizer"] != "word" or max(map(Words().count, headed)) > room:
            continue
        uncut += 1
        units = list(pack("", [Line("", each, 0) for each in headed], room, Words()))
        packed = ["\n\n".join(line.text for line in unit.lines) for unit in units]
        assert [sha(each) for each in packed] == [c["sha256"] for c in vector["chunks"]]
    assert uncut == 1
