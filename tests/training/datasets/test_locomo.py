import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from budgetmem.chunking import by_session, units
from budgetmem.config import ChunkingProfile
from budgetmem.errors import InvalidInput
from tests.toys import Words
from tests.training.datasets.records import talk, written
from training.datasets import DatasetWarning
from training.datasets.base import Question
from training.datasets.locomo import CATEGORIES, OFFICIAL_SHA256, LoCoMo, evidence_ids

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "locomo" / "locomo10.json"
VECTORS = DATA.parents[2] / "vectors" / "chunks.json"
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


@pytest.mark.shared
@needs_data
def test_the_shared_file_is_the_official_one():
    assert LoCoMo(DATA, verify=True).splits["train"][0] == "conv-26"


def test_another_file_is_a_warning_and_with_verify_an_error(tmp_path):
    path = written(tmp_path / "locomo10.json", [talk()])
    with pytest.warns(DatasetWarning, match=OFFICIAL_SHA256):
        LoCoMo(path).histories()
    with pytest.raises(InvalidInput, match=OFFICIAL_SHA256):
        LoCoMo(path, verify=True).histories()


def without(key):
    record = talk()
    del record["qa"][0][key]
    return record


@pytest.mark.filterwarnings("ignore::training.datasets.DatasetWarning")
@pytest.mark.parametrize(
    ("record", "message"),
    [
        (talk(category=7), r"l\.json\[1\]\.qa\[0\]\.category: must be 1 to 5, not 7"),
        (talk(category=True), r"l\.json\[1\]\.qa\[0\]\.category: must be an integer, not bool"),
        (talk(category="4"), r"l\.json\[1\]\.qa\[0\]\.category: must be an integer, not str"),
        (without("category"), r"l\.json\[1\]\.qa\[0\]\.category: is missing"),
        (without("answer"), r"l\.json\[1\]\.qa\[0\]\.answer: is missing"),
        (talk(answer=None), r"l\.json\[1\]\.qa\[0\]\.answer: must be a string"),
        (talk(answer=" "), r"l\.json\[1\]\.qa\[0\]\.answer: is empty"),
        (talk(question=3), r"l\.json\[1\]\.qa\[0\]\.question: must be a string"),
        (talk(evidence="D1:1"), r"l\.json\[1\]\.qa\[0\]\.evidence: must be a list"),
        (talk(evidence=[1]), r"l\.json\[1\]\.qa\[0\]\.evidence\[0\]: must be a string"),
        ({**talk(), "qa": [None]}, r"l\.json\[1\]\.qa\[0\]: must be an object"),
        ({**talk(), "qa": {}}, r"l\.json\[1\]\.qa: must be a list"),
        ({**talk(), "conversation": {}}, r"l\.json\[1\]: the history 'conv-1' has no turns"),
        (talk("conv-0"), r"l\.json\[1\]: a second history named 'conv-0'"),
        ([], r"l\.json\[1\]: must be an object"),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(tmp_path, record, message):
    path = written(tmp_path / "l.json", [talk("conv-0"), record])
    with pytest.raises(InvalidInput, match=message):
        LoCoMo(path).questions("train")


@pytest.mark.filterwarnings("ignore::training.datasets.DatasetWarning")
def test_numbers_are_answers_and_adversarial_questions_are_not_looked_at(tmp_path):
    record = talk(answer=2022, category=2)
    record["qa"].append({"category": 5})
    (question,) = LoCoMo(written(tmp_path / "l.json", [record])).questions("train")
    assert (question.gold, question.category) == ("2022", "temporal")


@pytest.mark.filterwarnings("ignore::training.datasets.DatasetWarning")
def test_only_an_open_domain_answer_is_cut_at_its_semicolon(tmp_path):
    record = talk()
    asked = record["qa"][0]
    record["qa"] = [{**asked, "category": each, "answer": "yes; a lot"} for each in CATEGORIES]
    found = LoCoMo(written(tmp_path / "l.json", [record])).questions("train")
    gold = {each.category: each.gold for each in found}
    assert gold.pop("open-domain") == "yes"
    assert set(gold) == {"multi-hop", "temporal", "single-hop"}
    assert set(gold.values()) == {"yes; a lot"}


@pytest.mark.filterwarnings("ignore::training.datasets.DatasetWarning")
def test_a_part_of_the_file_has_empty_splits_and_more_than_it_is_refused(tmp_path):
    some = LoCoMo(written(tmp_path / "some.json", [talk(f"c{n}") for n in range(7)]))
    assert {split: len(names) for split, names in some.splits.items()} == {
        "train": 6,
        "validation": 1,
        "test": 0,
    }
    with pytest.raises(InvalidInput, match="'test' of locomo has no questions"):
        some.questions("test")
    many = LoCoMo(written(tmp_path / "many.json", [talk(f"c{n}") for n in range(11)]))
    with pytest.raises(InvalidInput, match=r"many\.json\[10\]: is in no split"):
        many.questions("train")


@pytest.mark.filterwarnings("ignore::training.datasets.DatasetWarning")
def test_broken_json_is_refused_with_line_and_column(tmp_path):
    path = tmp_path / "l.json"
    path.write_text('[\n{"sample_id": }]')
    with pytest.raises(InvalidInput, match=r"l\.json: not JSON: .*line 2, column 15"):
        LoCoMo(path).histories()


@pytest.mark.shared
@needs_data
def test_the_papers_chunks_of_a_conversation():
    """All vectors with a counter for which the reference's sum over turns is the count of the pack,
    and whose limit cuts no turn; tests/test_chunking.py says how ours differ from the others.

    The reference leaves ten tokens of the encoder's window free, and takes 512 for a window that
    the tokenizer does not know.
    """
    vectors = json.loads(VECTORS.read_text())
    cases = [*vectors["locomo_conv26"], *vectors["longmemeval_function_on_conv26"]]
    turns = LoCoMo(DATA).histories()["conv-26"]
    agreed = []
    for case in cases:
        window = min(int(case["model_max_length"]), 10**6)
        room = min(case["max_tokens"], (512 if window == 10**6 else window) - 10)
        if case["tokenizer"] != "word" or room < 100:
            continue
        profile = ChunkingProfile(unit="pack", form="said", max_tokens=room)
        hashes = [
            hashlib.sha256(unit.text.encode()).hexdigest()
            for session, members in by_session(turns).items()
            for unit in units(session, members, profile, Words())
        ]
        assert len(hashes) == case["n_chunks"]
        assert hashlib.sha256("\0".join(hashes).encode()).hexdigest() == case["all_sha256"]
        agreed.append(room)
    assert agreed == [256, 256, 118, 256, 502]
