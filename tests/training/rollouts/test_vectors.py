"""The vectors that outcomes refer to: made once, of the setting that was recorded, by question."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from budgetmem.backbone import HashEncoder
from budgetmem.config import load_profile
from budgetmem.errors import ConfigError, InvalidInput
from budgetmem.types import Turn
from training.datasets.base import Question
from training.rollouts import vectors
from training.rollouts.outcomes import Leaf, Node, OutcomeFile, Outcomes
from training.rollouts.paths import DEPTHS
from training.rollouts.setting import of_profile
from training.rollouts.vectors import embedded, recorded_profile

SMALL = load_profile("small")
SAID = {
    "t0": "I adopted a grey cat in Lisbon.",
    "t1": "My brother sold his old boat.",
    "t2": "We planted tomatoes behind the house.",
}
QUESTIONS = (
    Question("q0", "h", "Who adopted a cat?", "Ana", "c", ()),
    Question("q1", "h", "What was sold?", "a boat", "c", ()),
)


@dataclass(frozen=True)
class Talk:
    """One history, two questions to it."""

    name: str = "talk"
    sha256: str = "of the talk"
    facts: Mapping[str, str] = field(default_factory=dict)

    def histories(self):
        return {"h": [Turn(id_, "Ana", text, session=id_) for id_, text in SAID.items()]}

    def questions(self, split):
        assert split == "train"
        return QUESTIONS


@dataclass
class Counting(HashEncoder):
    calls: int = 0
    texts: list[str] = field(default_factory=list)

    async def embed(self, texts):
        self.calls += 1
        self.texts += texts
        return await super().embed(texts)


def outcome_file(*asked, **setting):
    node, leaf = Node((0.0,), ("c",)), Leaf(0.5, (1e-6,) * 7, 3)
    nodes = {"LLLLL"[:depth]: node for depth in DEPTHS.values()}
    outcomes = [Outcomes(id_, "h", "c", nodes, {"LLLLL": leaf}, {}) for id_ in asked]
    held = {**of_profile(SMALL), "split": "train", "max_tokens": 400, **setting}
    return OutcomeFile(held, ("a",), tuple(outcomes))


def test_questions_and_what_they_retrieve_have_vectors(tmp_path):
    encoder = HashEncoder()
    found = embedded(outcome_file("q0", "q1"), Talk(), tmp_path, encoder)
    assert set(found.queries) == {"q0", "q1"}
    assert {question for question, _ in found.chunks} == {"q0", "q1"}
    chunks = [{chunk for question, chunk in found.chunks if question == q} for q in ("q0", "q1")]
    assert chunks[0] & chunks[1]
    for vector in (*found.queries.values(), *found.chunks.values()):
        assert vector.shape == (encoder.dimension,)


def test_the_encoder_is_the_profile_s_with_its_limit(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(vectors, "local_encoder", lambda given: opened.append(given) or Counting())
    encoder = SMALL.encoder.model_copy(update={"max_tokens": 99})
    shorter = SMALL.model_copy(update={"encoder": encoder})
    monkeypatch.setattr(vectors, "load_profile", lambda _: shorter)
    embedded(outcome_file("q0", **of_profile(shorter)), Talk(), tmp_path)
    assert opened == [encoder]


def test_they_are_made_once(tmp_path):
    encoder = Counting()
    first = embedded(outcome_file("q0"), Talk(), tmp_path, encoder)
    made = encoder.calls
    second = embedded(outcome_file("q0"), Talk(), tmp_path, encoder)
    assert encoder.calls == made > 0
    assert second.chunks.keys() == first.chunks.keys()
    assert all((second.chunks[pair] == vector).all() for pair, vector in first.chunks.items())
    assert (second.queries["q0"] == first.queries["q0"]).all()


def test_of_a_file_that_grew_the_new_questions_are_embedded(tmp_path):
    first = embedded(outcome_file("q0"), Talk(), tmp_path, HashEncoder())
    encoder = Counting()
    both = embedded(outcome_file("q0", "q1"), Talk(), tmp_path, encoder)
    assert QUESTIONS[1].text in encoder.texts
    assert QUESTIONS[0].text not in encoder.texts
    assert (both.queries["q0"] == first.queries["q0"]).all()
    assert {question for question, _ in both.chunks} == {"q0", "q1"}


@pytest.mark.parametrize("change", ["budget", "format"])
def test_others_are_made_anew(tmp_path, monkeypatch, change):
    encoder = Counting()
    embedded(outcome_file("q0"), Talk(), tmp_path, encoder)
    made = encoder.calls
    if change == "format":
        monkeypatch.setattr(vectors, "FORMAT", vectors.FORMAT + 1)
    budget = 99 if change == "budget" else 400
    embedded(outcome_file("q0", max_tokens=budget), Talk(), tmp_path, encoder)
    assert encoder.calls > made


def test_a_question_that_the_dataset_lacks_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="a question that the dataset lacks: 'q9'"):
        embedded(outcome_file("q0", "q9"), Talk(), tmp_path, HashEncoder())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompts", "0123456789abcdef"),
        ("encoder", "another"),
        ("generation", {}),
        ("retrieval", {}),
        ("backbones", {}),
        ("prices", {}),
        ("weights", {}),
    ],
)
def test_a_profile_that_is_not_as_it_was_is_refused(tmp_path, name, value):
    file = outcome_file("q0", **{name: value})
    with pytest.raises(ConfigError, match=rf"profile small is not as .*\({name}"):
        embedded(file, Talk(), tmp_path, HashEncoder())
    with pytest.raises(ConfigError, match=name):
        recorded_profile(file.setting)


def test_a_setting_of_an_earlier_version_is_refused():
    setting = {**outcome_file().setting}
    del setting["templates"]
    with pytest.raises(ConfigError, match="templates: null, here"):
        recorded_profile(setting)


def test_the_profile_of_a_recording():
    assert recorded_profile(outcome_file().setting) == SMALL


def test_a_ranking_that_embeds_no_query_is_refused(tmp_path, monkeypatch):
    retrieval = SMALL.retrieval.model_copy(update={"ranking": "keyword"})
    keyword = SMALL.model_copy(update={"retrieval": retrieval})
    monkeypatch.setattr(vectors, "load_profile", lambda name: keyword)
    with pytest.raises(ConfigError, match="no query is embedded"):
        embedded(outcome_file("q0", **of_profile(keyword)), Talk(), tmp_path, HashEncoder())
