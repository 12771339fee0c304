"""The retrieval benchmark on a conversation small enough to reckon by hand."""

import json

import pytest
from rich.progress import Progress

from benchmarks.retrieval import Tally, load, measure
from budgetmem.backbone import HashEncoder
from training.datasets.base import Question
from training.datasets.locomo import LoCoMo

TALK = {
    "sample_id": "conv-1",
    "conversation": {
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Ana", "dia_id": f"D1:{n}", "text": f"word{n} " * 10} for n in range(1, 21)
        ],
    },
    "qa": [
        {"question": "word3", "evidence": ["D1:3"], "category": 1, "answer": "a"},
        {
            "question": "word9 word15",
            "evidence": ["D1:9; D1:15", "D9:1"],
            "category": 2,
            "answer": "a",
        },
        {"question": "adversarial", "evidence": ["D1:1"], "category": 5, "answer": "a"},
        {"question": "none", "evidence": ["D"], "category": 4, "answer": "a"},
    ],
}


@pytest.fixture
def talks(tmp_path):
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([TALK]), encoding="utf-8")
    return load(LoCoMo(path), ["train"])


def test_what_cannot_be_resolved_is_reported(talks):
    (talk,) = talks
    assert [q.evidence for q in talk.questions] == [("D1:3",), ("D1:9", "D1:15")]
    assert talk.unresolved == ("D9:1", "D")
    assert talk.without_evidence == 1


def question(*evidence):
    return Question("q", "conv-1", "Which?", "gold", "single-hop", evidence)


def test_pooled_and_per_question_shares_differ():
    tally = Tally()
    tally.add(question("a"), {"a"})
    tally.add(question("b", "c", "d"), {"b"})
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
