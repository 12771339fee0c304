"""The real spaCy model, on sentences of the kind that histories hold."""

import pytest

from budgetmem import assets
from budgetmem.backbone import Entity, Relation
from budgetmem.errors import AssetError

pytest.importorskip("spacy", reason="needs the `embedded` extra")

from server.annotating import Annotator

MODEL = "en-core-web-sm"


@pytest.fixture(scope="module")
def annotator():
    try:
        return Annotator.open(assets.asset_dir(MODEL))
    except AssetError as exc:
        pytest.skip(f"asset {MODEL} is not installed: {exc}")


def relations(annotator, text):
    return [(r.subject, r.verb, r.object) for r in annotator.annotate([text])[0].relations]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Caroline went to the LGBTQ support group yesterday.",
            [("Caroline", "went to", "the LGBTQ support group")],
        ),
        (
            "I didn't pick up the new guitar from John.",
            [("I", "didn't pick up", "the new guitar from John")],
        ),
        (
            "I bought a red car and a bike.",
            [("I", "bought", "a red car"), ("I", "bought", "a bike")],
        ),
        (
            "Melanie is a teacher and has been painting since 2016.",
            [("Melanie", "is", "a teacher"), ("Melanie", "has been painting since", "2016")],
        ),
        ("She wants to adopt a child.", [("She", "wants to adopt", "a child")]),
        (
            "Tom and Anna will move out of Berlin next year.",
            [("Tom", "will move out of", "Berlin"), ("Anna", "will move out of", "Berlin")],
        ),
        (
            "The man who bought the house isn't happy.",
            [("The man", "bought", "the house"), ("The man", "isn't", "happy")],
        ),
        ("The book was written by Jane Austen.", [("The book", "was written by", "Jane Austen")]),
        ("It rained.", []),
    ],
)
def test_relations(annotator, text, expected):
    assert relations(annotator, text) == expected


def test_entities_noun_phrases_and_tokens(annotator):
    (found,) = annotator.annotate(["Tom moved to Berlin in May."])
    assert found.entities == (
        Entity("Tom", "PERSON"),
        Entity("Berlin", "GPE"),
        Entity("May", "DATE"),
    )
    assert Relation("Tom", "moved to", "Berlin") in found.relations
    assert found.noun_phrases == ("Tom", "Berlin", "May")
    assert found.tokens == 7


def test_pronouns_are_no_noun_phrases(annotator):
    assert annotator.annotate(["She likes it."])[0].noun_phrases == ()


def test_one_annotation_a_text_in_order(annotator):
    found = annotator.annotate(["", "Tom sings.", "   "])
    assert [bool(a.noun_phrases) for a in found] == [False, True, False]


def test_words_are_not_kept(annotator):
    annotator.annotate(["warm up"])
    before = len(annotator.nlp.vocab.strings)
    (found,) = annotator.annotate(["Zorbulux bought two florbs."])
    assert found.relations == (Relation("Zorbulux", "bought", "two florbs"),)
    assert len(annotator.nlp.vocab.strings) == before
    assert "Zorbulux" not in annotator.nlp.vocab.strings
    caches = [getattr(part, "cache", None) for _, part in annotator.nlp.pipeline]
    assert not any(caches)


def test_words_are_not_kept_of_a_batch_that_fails(annotator):
    before = len(annotator.nlp.vocab.strings)
    with pytest.raises(ValueError, match="max_length"):
        annotator.annotate(["Qwxyzland.", "a" * (annotator.nlp.max_length + 1)])
    assert len(annotator.nlp.vocab.strings) == before
    assert relations(annotator, "Tom bought a car.") == [("Tom", "bought", "a car")]


def test_what_is_no_model_says_so(tmp_path):
    with pytest.raises(AssetError, match="not a spaCy model"):
        Annotator.open(tmp_path)
