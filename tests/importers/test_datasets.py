"""The datasets' formats: small records by hand, and the real files where they are."""

import json
import re
from datetime import datetime

import pytest

from budgetmem.errors import InvalidInput, NotFound
from budgetmem.importers import IMPORTERS
from budgetmem.importers.base import expect
from budgetmem.importers.hotpotqa import split_documents
from budgetmem.validation import check_turns, without_repeats
from tests.toys import shared_file

LOCOMO = {
    "sample_id": "conv-1",
    "conversation": {
        "speaker_a": "Ana",
        "session_10_date_time": "12:05 am on 1 June, 2023",
        "session_10": [{"speaker": "Ana", "dia_id": "D10:1", "text": "later"}],
        "session_2_date_time": "1:56 pm on 8 May, 2023",
        "session_2": [
            {"speaker": "Ben", "dia_id": "D2:1", "text": "look", "blip_caption": "a dog"}
        ],
        "session_3_date_time": "3:00 pm on 9 May, 2023",
    },
}
LONGMEMEVAL = {
    "question_id": "q1",
    "haystack_session_ids": ["a", "a"],
    "haystack_dates": ["2023/05/20 (Sat) 02:21", "2023/05/21 (Sun) 10:00"],
    "haystack_sessions": [
        [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
        [{"role": "user", "content": "z"}],
    ],
}


def load(tmp_path, form, content, select=None, name="data.json"):
    path = tmp_path / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return IMPORTERS[form](path, select)


def test_locomo(tmp_path):
    first, second = load(tmp_path, "locomo", [LOCOMO])["conv-1"]
    assert (first.id, first.session, first.caption) == ("D2:1", "session_2", "a dog")
    assert first.time == datetime(2023, 5, 8, 13, 56)
    assert (second.id, second.time) == ("D10:1", datetime(2023, 6, 1, 0, 5))


def test_locomo_names_the_place_of_a_fault(tmp_path):
    broken = {
        "sample_id": "c",
        "conversation": {"session_1": [], "session_1_date_time": "yesterday"},
    }
    with pytest.raises(InvalidInput, match=r"data.json\[0\]\.session_1_date_time: 'yesterday'"):
        load(tmp_path, "locomo", [broken])
    with pytest.raises(InvalidInput, match=r"data.json\[0\]\.conversation: is missing"):
        load(tmp_path, "locomo", [{"sample_id": "c"}])


def test_locomo_takes_sessions_in_the_order_of_their_numbers_however_they_are_written(tmp_path):
    numbers = ["12", "9", "01", "9" * 5000, "٣"]
    talk = {}
    for number in numbers:
        talk[f"session_{number}"] = [{"speaker": "Ana", "dia_id": number, "text": "hi"}]
        talk[f"session_{number}_date_time"] = "1:56 pm on 8 May, 2023"
    turns = load(tmp_path, "locomo", [{"sample_id": "c", "conversation": talk}])["c"]
    assert [turn.id for turn in turns] == ["01", "9", "12", "9" * 5000]
    assert turns[0].session == "session_01"


@pytest.mark.parametrize("form", ["jsonl", "locomo", "longmemeval", "hotpotqa"])
@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000, "-" + "9" * 5000])
def test_json_that_python_refuses_is_refused_by_place(tmp_path, form, value):
    path = tmp_path / "data.jsonl"
    path.write_text(f'\n{{"id": {value}}}\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"data\.jsonl line 2: not (JSON|usable JSON)"):
        IMPORTERS[form](path)


def test_longmemeval_keeps_sessions_of_one_name_apart(tmp_path):
    turns = load(tmp_path, "longmemeval", LONGMEMEVAL)["q1"]
    assert [(t.id, t.speaker, t.session) for t in turns] == [
        ("a:0", "user", "a"),
        ("a:1", "assistant", "a"),
        ("a#2:0", "user", "a#2"),
    ]
    assert turns[0].time == datetime(2023, 5, 20, 2, 21)


def test_longmemeval_with_unequal_lists_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="2 sessions, but 2 ids and 1 dates"):
        load(tmp_path, "longmemeval", {**LONGMEMEVAL, "haystack_dates": ["x"]})


@pytest.mark.parametrize(
    "record",
    [
        {"_id": "q", "context": [["Cat", ["It purrs.", " It eats."]], ["Dog", ["It barks."]]]},
        {
            "id": "q",
            "context": {
                "title": ["Cat", "Dog"],
                "sentences": [["It purrs.", " It eats."], ["It barks."]],
            },
        },
        {
            "id": "q",
            "docs": [
                {"title": "Cat", "text": "Cat\nIt purrs. It eats."},
                {"title": "Dog", "text": "It barks."},
            ],
        },
        {
            "index": "q",
            "context": "Document 1:\nCat\nIt purrs. It eats.\n\nDocument 2:\nDog\nIt barks.",
        },
    ],
)
def test_hotpotqa_forms_agree(tmp_path, record):
    turns = load(tmp_path, "hotpotqa", [record])["q"]
    assert [(t.id, t.speaker, t.session, t.text) for t in turns] == [
        ("d0", "Cat", "Cat", "It purrs. It eats."),
        ("d1", "Dog", "Dog", "It barks."),
    ]


def test_a_long_context_without_headings_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"data.json\[0\]\.context: no `Document N:` heading"):
        load(tmp_path, "hotpotqa", [{"id": "q", "context": "just text"}])


@pytest.mark.parametrize(
    ("form", "record", "name"),
    [
        ("locomo", LOCOMO, "conv-1"),
        ("longmemeval", LONGMEMEVAL, "q1"),
        ("hotpotqa", {"id": "q", "context": [["Cat", ["It purrs."]]]}, "q"),
    ],
)
def test_a_name_that_comes_twice_is_refused(tmp_path, form, record, name):
    with pytest.raises(InvalidInput, match=rf"data.json\[1\]: a second history named '{name}'"):
        load(tmp_path, form, [record, record])


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"title": ["Cat", "Dog"], "sentences": [[]]}, r"\.context: 2 titles, but 1 lists of"),
        ([1], r"\.context\[0\]: must be a list, not int"),
        (None, r"\.context: must be a list, not NoneType"),
    ],
)
def test_a_context_of_another_form_is_refused(tmp_path, context, message):
    with pytest.raises(InvalidInput, match=message):
        load(tmp_path, "hotpotqa", [{"id": "q", "context": context}])


def test_true_is_no_integer():
    with pytest.raises(InvalidInput, match="x: must be an integer, not bool"):
        expect(True, int, "x")


@pytest.mark.shared
def test_document_headings_split_as_the_reference_splits():
    vectors = json.loads(shared_file("vectors/chunks.json").read_text())["parse_documents"]
    # With a heading within a line there is a difference, which is chosen: see the next test.
    alike = [each for each in vectors if not re.search(r".Document \d", each["context_repr"])]
    assert len(alike) == len(vectors) - 2
    for vector in alike:
        found = split_documents(vector["context_repr"])
        joined = [
            text if title.startswith("Document ") else f"{title}\n{text}" for title, text in found
        ]
        # The reference drops documents without any text; the reader of turns does so later.
        assert [text for text in joined if text] == vector["documents"]


def test_chosen_difference_a_heading_begins_a_line():
    """The reference takes one within a sentence, too, and cuts the document there."""
    found = split_documents("Document 1:\nCat\nSee Document 2: it barks.\n\nDocument 2:\nDog\nIt.")
    assert found == [("Cat", "See Document 2: it barks."), ("Dog", "It.")]
    assert split_documents("As told in Document 1: a cat") == []


@pytest.mark.shared
@pytest.mark.parametrize(
    ("form", "name", "histories", "turns"),
    [
        ("locomo", "locomo/locomo10.json", 10, 5882),
        ("longmemeval", "longmemeval/longmemeval_oracle.json", 500, 10960),
        ("longmemeval", "longmemeval/s/41_2318644b.json", 1, 523),
        ("hotpotqa", "hotpotqa/rpt_dev.jsonl", 300, None),
        ("hotpotqa", "hotpotqa/rpt_train.jsonl", 300, None),
        ("hotpotqa", "hotpotqa/rpt_test.jsonl", 500, None),
        ("hotpotqa", "hotpotqa/hipporag_train100.json", 100, None),
        ("hotpotqa", "hotpotqa/lciteeval_long6.json", 6, None),
    ],
)
def test_the_real_files_read_into_valid_turns(form, name, histories, turns):
    found = IMPORTERS[form](shared_file(f"data/{name}"))
    assert len(found) == histories
    assert turns is None or sum(map(len, found.values())) == turns
    for members in found.values():
        check_turns(members)
        assert without_repeats(members) == members


@pytest.mark.shared
def test_one_conversation_can_be_selected():
    path = shared_file("data/locomo/locomo10.json")
    assert list(IMPORTERS["locomo"](path, "conv-49")) == ["conv-49"]
    with pytest.raises(NotFound, match="no history 'conv-1'; it has conv-26"):
        IMPORTERS["locomo"](path, "conv-1")
