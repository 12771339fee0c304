"""A small world of our own: two friends, two sessions, one document without a date."""

from __future__ import annotations

from datetime import datetime

import pytest

from budgetmem.backbone import Annotation, Entity, HashEncoder, Relation, ScriptedTagger
from budgetmem.modules.base import Tools
from budgetmem.types import Chunk, Workspace

CLASS = "I went to a pottery class yesterday and it was great fun."
BOWL = "I made a blue bowl for my sister Clara. [shares an image: a bowl on a shelf]"
REX = "I adopted a dog named Rex two weeks ago."

CHUNKS = (
    Chunk(
        "c1",
        "s1",
        datetime(2023, 5, 8, 13, 56),
        ("t1", "t2", "t3"),
        f"Ada: {CLASS}\nBen: Cool! What did you make?\nAda: {BOWL}",
        tokens=40,
        score=0.5,
    ),
    Chunk(
        "c2",
        "s2",
        datetime(2023, 6, 9, 10, 0),
        ("t4", "t5"),
        f"Ben: {REX}\nAda: Lovely! You have always wanted one.",
        tokens=30,
        score=0.9,
    ),
    Chunk(
        "c3",
        "s3",
        None,
        ("t6",),
        "Ladle Weekly (1844-1846) was a cooking magazine published in Lisbon since 1844.",
        tokens=20,
        score=0.1,
    ),
)

ANNOTATIONS = {
    CLASS: Annotation(
        entities=(Entity("yesterday", "DATE"),),
        relations=(Relation("I", "went", "a pottery class"), Relation("it", "was", "fun")),
        noun_phrases=("I", "a pottery class", "it", "great fun"),
        tokens=12,
    ),
    BOWL: Annotation(
        relations=(Relation("I", "made", "a blue bowl"),),
        noun_phrases=("I", "a blue bowl", "my sister Clara"),
        tokens=16,
    ),
    REX: Annotation(
        entities=(Entity("two weeks ago", "DATE"), Entity("Rex", "PERSON")),
        relations=(Relation("I", "adopted", "a dog"),),
        noun_phrases=("a dog",),
        tokens=9,
    ),
    "Lovely! You have always wanted one.": Annotation(
        relations=(Relation("You", "wanted", "one"),), tokens=7
    ),
}


def workspace(query: str, chunks: tuple[Chunk, ...] = CHUNKS) -> Workspace:
    return Workspace.start(query, chunks)


@pytest.fixture
def tools() -> Tools:
    return Tools(HashEncoder(dimension=512), ScriptedTagger(ANNOTATIONS))
