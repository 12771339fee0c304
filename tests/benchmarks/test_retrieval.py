"""The retrieval benchmark on a conversation small enough to reckon by hand."""

import json

import pytest
from rich.progress import Progress

from benchmarks.retrieval import Question, Tally, evidence_ids, load, measure, parse_indices
from budgetmem.backbone import HashEncoder

TALK = {
    "sample_id": "conv-1",
    "conversation": {
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Ana", "dia_id": f"D1:{n}", "text": f"word{n} " * 10} for n in range(1, 21)
        ],
    },
    "qa": [
        {"question": "word3", "evidence": ["D1:3"], "category": 1},
        {"question": "word9 word15", "evidence": ["D1:9; D1:15", "D9:1"], "category": 2},
        {"question": "adversarial", "evidence": ["D1:1"], "category": 5},
        {"question": "none", "evidence": ["D"], "category": 4},
    ],
}


@pytest.fixture
def talks(tmp_path):
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([TALK]), encoding="utf-8")
    return load(path, [0])


def test_evidence_is_put_right():
    entries = ["D8:6; D9:17", "D:11:26", "D30:05", "D", "D9:1 D4:4"]
    assert list(evidence_ids(entries)) == [
        "D8:6",
        "D9:17",
        "D11:26",
        "D30:5",
        "D",
        "D9:1",
        "D4:4",
    ]


def test_what_cannot_be_resolved_is_reported(talks):
    (talk,) = talks
    assert [q.evidence for q in talk.questions] == [("D1:3",), ("D1:9", "D1:15")]
    assert talk.unresolved == ("D9:1", "D")
    assert talk.without_evidence == 1


def test_pooled_and_per_question_shares_differ():
    tally = Tally()
    tally.add(Question("q", ("a",)), {"a"})
    tally.add(Question("r", ("b", "c", "d")), {"b"})
    assert tally.found / tally.wanted == 0.5
    assert tally.shares == [1.0, pytest.approx(1 / 3)]


async def test_a_larger_budget_finds_more(talks):
    rows = await measure(
        talks,
        HashEncoder(dimension=512),
        units=["windows", "turns"],
        rankings=["fused", "keyword"],
        budgets=[33, 1000],
        progress=Progress(disable=True),
    )
    some, all_of_it = (pytest.approx(2 / 3), 0.75), (1.0, 1.0)
    assert [(r.units, r.ranking, r.budget, (r.pooled, r.per_question)) for r in rows] == [
        ("windows", "fused", 33, some),
        ("windows", "fused", 1000, all_of_it),
        ("windows", "keyword", 33, some),
        ("windows", "keyword", 1000, all_of_it),
        ("turns", "fused", 33, all_of_it),
        ("turns", "fused", 1000, all_of_it),
        ("turns", "keyword", 33, all_of_it),
        ("turns", "keyword", 1000, all_of_it),
    ]


def test_places_of_conversations():
    assert parse_indices("all") is None
    assert parse_indices("0-2,7") == [0, 1, 2, 7]
