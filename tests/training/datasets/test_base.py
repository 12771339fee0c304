"""Splits never mix, and what is wrong in an entry is refused with its place."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.errors import InvalidInput
from budgetmem.types import Turn
from tests.training.datasets.records import NAMES, real
from training.datasets.base import SPLIT_NAMES, Entry, FileDataset, Question, gather

TURNS = (Turn("t", "Ana", "hello"),)


def entry(history="h", split="train", *ids, **fields):
    questions = [
        replace(Question(each, history, "Which?", "this", "any", ()), **fields) for each in ids
    ]
    return Entry(f"file[{history}]", split, history, TURNS, questions)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdef"),
            st.sampled_from(SPLIT_NAMES),
            st.lists(st.sampled_from("123456789"), max_size=3),
        ),
        max_size=6,
    )
)
def test_no_history_and_no_question_is_twice_in_what_was_gathered(drawn):
    histories = [history for history, _, _ in drawn]
    ids = [each for _, _, some in drawn for each in some]
    entries = [entry(history, split, *some) for history, split, some in drawn]
    if len(set(histories)) < len(histories) or len(set(ids)) < len(ids):
        with pytest.raises(InvalidInput):
            gather(entries)
        return
    found = gather(entries)
    assert sorted(name for split in SPLIT_NAMES for name in found.splits[split]) == sorted(
        histories
    )
    asked = [q.id for split in SPLIT_NAMES for q in found.questions[split]]
    assert sorted(asked) == sorted(ids)
    for split in SPLIT_NAMES:
        assert {q.history for q in found.questions[split]} <= set(found.splits[split])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry("h", "dev")], r"file\[h\]\.split: 'dev' is not one of train, validation, test"),
        ([entry("h"), entry("h", "test")], "a second history named 'h'"),
        ([replace(entry("h"), turns=())], "has no turns"),
        ([entry("a", "train", "1"), entry("b", "test", "1")], r"'1' is in file\[a\] too"),
        (
            [replace(entry("a"), questions=entry("z", "train", "1").questions)],
            "is to 'z', not to 'a'",
        ),
        ([entry("a", "train", "1", text=" ")], "has no text"),
        ([entry("a", "train", "1", gold="")], "has no answer"),
    ],
)
def test_a_faulty_entry_is_refused(entries, message):
    with pytest.raises(InvalidInput, match=message):
        gather(entries)


class Given(FileDataset):
    def __init__(self, *entries):
        self.given = entries
        self.reads = 0

    name = "given"

    def files(self):
        return ()

    def entries(self):
        self.reads += 1
        yield from self.given

    def score(self, question, prediction):
        return 0.0


def test_files_are_read_once():
    dataset = Given(entry("a", "train", "1"))
    dataset.questions("train"), dataset.histories(), dataset.splits
    assert dataset.reads == 1


def test_an_unknown_split_is_refused_before_anything_is_read():
    dataset = Given()
    with pytest.raises(InvalidInput, match="'dev' is not one of train, validation, test"):
        dataset.questions("dev")
    assert dataset.reads == 0


def test_an_empty_split_is_refused():
    with pytest.raises(InvalidInput, match="'test' of given has no questions"):
        Given(entry("a", "train", "1")).questions("test")


def test_a_dataset_without_questions_is_refused():
    with pytest.raises(InvalidInput, match="no questions with an answer"):
        Given(entry("a")).histories()


@pytest.mark.shared
@pytest.mark.filterwarnings("ignore::training.datasets.DatasetWarning")
@pytest.mark.parametrize("name", NAMES)
def test_the_splits_of_the_real_files_share_nothing(name):
    dataset = real(name)
    filled = [split for split in SPLIT_NAMES if dataset.splits[split]]
    questions = {split: dataset.questions(split) for split in filled}
    for part in (
        [(split, history) for split in filled for history in dataset.splits[split]],
        [(split, q.id) for split in filled for q in questions[split]],
        [(split, (q.history, q.text)) for split in filled for q in {*questions[split]}],
    ):
        splits_of = Counter(each for _, each in {*part})
        assert max(splits_of.values()) == 1
    assert set(dataset.histories()) == {h for split in filled for h in dataset.splits[split]}
    for split in filled:
        assert {q.history for q in questions[split]} <= set(dataset.splits[split])
