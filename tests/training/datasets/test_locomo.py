from collections import Counter
from pathlib import Path

import pytest

from budgetmem.errors import InvalidInput
from training.datasets.base import Question
from training.datasets.locomo import LoCoMo, evidence_ids

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "locomo" / "locomo10.json"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="../shared/data/locomo is not here")


@pytest.mark.shared
@needs_data
def test_the_splits_of_the_protocol():
    dataset = LoCoMo(DATA)
    assert dataset.splits["test"] == ("conv-49", "conv-50")
    assert len(dataset.questions("train")) + len(dataset.questions("validation")) == 1226
    test = dataset.questions("test")
    assert Counter(question.category for question in test) == {
        "multi-hop": 69,
        "temporal": 65,
        "open-domain": 20,
        "single-hop": 160,
    }


@pytest.mark.shared
@needs_data
def test_evidence_names_turns():
    dataset = LoCoMo(DATA)
    turns = {(name, turn.id) for name, read in dataset.histories().items() for turn in read}
    cited = [(q.history, e) for q in dataset.questions("train") for e in q.evidence]
    missing = [pair for pair in cited if pair not in turns]
    assert len(missing) < 0.01 * len(cited), missing


@pytest.mark.parametrize(
    ("category", "prediction", "expected"),
    [("multi-hop", "pottery, chess", 0.5), ("single-hop", "pottery", 2 / 3)],
)
def test_score_by_category(category: str, prediction: str, expected: float):
    question = Question("q", "h", "Which hobbies?", "pottery, running", category, ())
    assert LoCoMo(Path("unused")).score(question, prediction) == pytest.approx(expected)


def test_an_unknown_split_is_refused():
    with pytest.raises(InvalidInput, match="train, validation, test"):
        LoCoMo(Path("unused")).questions("dev")


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
