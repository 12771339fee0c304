import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.datasets.metrics import evidence_recall, multi_answer_f1, normalize, stems, token_f1

VECTORS = Path(__file__).parents[3].parent / "shared" / "vectors" / "f1.json"

CHOSEN_DIFFERENCES = {
    # (prediction, gold): (token F1, multi-answer F1). The reference gives 0 to the literal text of
    # its own failed calls; for us a failed call is an error, and this a text like any other.
    ("API Request Error", "API Request Error"): (1.0, 1.0),
    ("api request error", "error"): (0.5, 0.5),
}


@pytest.mark.shared
@pytest.mark.skipif(not VECTORS.exists(), reason="../shared/vectors is not here")
def test_parity_with_the_reference_implementation():
    pairs = json.loads(VECTORS.read_text())["pairs"]
    assert len(pairs) == 100
    differing = set()
    for pair in pairs:
        prediction, gold = pair["prediction"], pair["ground_truth"]
        assert normalize(prediction) == pair["normalize_prediction"]
        assert normalize(gold) == pair["normalize_ground_truth"]
        assert stems(prediction) == pair["stems_prediction"]
        assert stems(gold) == pair["stems_ground_truth"]
        reference = (pair["f1_score"], pair["f1_max"])
        expected = CHOSEN_DIFFERENCES.get((prediction, gold), reference)
        ours = (token_f1(prediction, gold), multi_answer_f1(prediction, gold))
        assert ours == pytest.approx(expected, abs=1e-12, rel=0), pair
        if ours != pytest.approx(reference, abs=1e-12, rel=0):
            differing.add((prediction, gold))
    assert differing == set(CHOSEN_DIFFERENCES)


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ("The dogs", "a dog", 1.0),
        ("7 May 2023", "7 May, 2023", 1.0),
        ("red car", "blue car", 0.5),
        ("", "", 0.0),
        ("nothing shared", "other words", 0.0),
        *((prediction, gold, f1) for (prediction, gold), (f1, _) in CHOSEN_DIFFERENCES.items()),
    ],
)
def test_token_f1(prediction: str, gold: str, expected: float):
    assert token_f1(prediction, gold) == pytest.approx(expected)


def test_multi_answer_f1_averages_over_gold_items():
    assert multi_answer_f1("pottery, running", "pottery, swimming") == pytest.approx(0.5)


@given(st.text(), st.text())
def test_scores_are_in_range(prediction: str, gold: str):
    assert 0.0 <= token_f1(prediction, gold) <= 1.0
    assert 0.0 <= multi_answer_f1(prediction, gold) <= 1.0


@pytest.mark.parametrize(
    ("evidence", "kept", "expected"),
    [
        (("D1:3", "D2:1"), {"D1:3", "D9:9"}, 0.5),
        (("D1:3", "D1:3", "D2:1", "D4:4"), ["D1:3"], 1 / 3),
        (("D1:3",), ["D1:3", "D1:4"], 1.0),
        (("D1:3",), [], 0.0),
        ((), ["D1:3"], None),
    ],
)
def test_evidence_recall(evidence, kept, expected):
    assert evidence_recall(evidence, kept) == (
        None if expected is None else pytest.approx(expected)
    )
