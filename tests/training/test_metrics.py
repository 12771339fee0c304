import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.metrics import multi_answer_f1, normalize, token_f1

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "f1.json"


@pytest.mark.shared
@pytest.mark.skipif(not VECTORS.exists(), reason="../shared/vectors is not here")
def test_parity_with_the_reference_implementation():
    pairs = json.loads(VECTORS.read_text())["pairs"]
    # The reference scores the literal text of its own failed calls as 0; we do not.
    pairs = [p for p in pairs if p["prediction"].lower() != "api request error"]
    assert len(pairs) > 90
    for pair in pairs:
        prediction, gold = pair["prediction"], pair["ground_truth"]
        assert normalize(prediction) == pair["normalize_prediction"]
        assert token_f1(prediction, gold) == pytest.approx(pair["f1_score"], abs=1e-12), pair
        assert multi_answer_f1(prediction, gold) == pytest.approx(pair["f1_max"], abs=1e-12), pair


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ("The dogs", "a dog", 1.0),
        ("7 May 2023", "7 May, 2023", 1.0),
        ("red car", "blue car", 0.5),
        ("", "", 0.0),
        ("nothing shared", "other words", 0.0),
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
