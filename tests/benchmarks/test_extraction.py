import json
from dataclasses import asdict

import pytest

from benchmarks.extraction import Arm, Result, read, summary


def result(name: str, category: str, extracted: float, plain: float) -> Result:
    return Result(
        id=name,
        category=category,
        question="?",
        gold="gold",
        extracted=Arm("a", extracted, 100),
        plain=Arm("b", plain, 900),
        extraction_usd=1e-5,
        extraction_tokens=2000,
        milliseconds=10.0,
        rungs={},
        fallbacks={},
        memory="m",
    )


def test_results_are_read_back(tmp_path):
    path = tmp_path / "results.jsonl"
    assert read(path) == []
    results = [result("q1", "temporal", 1.0, 0.5), result("q2", "multi-hop", 0.0, 0.5)]
    path.write_text("".join(json.dumps(asdict(r)) + "\n" for r in results))
    assert read(path) == results


def test_the_summary_has_all_questions_and_each_category():
    report = summary([result("q1", "temporal", 1.0, 0.5), result("q2", "multi-hop", 0.0, 0.5)])
    assert set(report) == {"all", "temporal", "multi-hop"}
    assert report["all"]["f1_extracted"]["mean"] == pytest.approx(0.5)
    assert report["all"]["f1_difference"]["n"] == 2
    assert report["temporal"]["f1_difference"]["mean"] == pytest.approx(0.5)
    assert report["all"]["prompt_tokens_plain"]["mean"] == 900
