"""Fake models, turns and questions, small enough to look through."""

from budgetmem.backbone import (
    HashEncoder,
    ModelSet,
    ScriptedBackbone,
    ScriptedTagger,
)
from budgetmem.config import load_profile
from budgetmem.types import Turn
from tests.fakes import perfect
from training.datasets.base import Question

PROFILE = load_profile("tiny")
TURNS = [
    Turn(f"t{n}", "Ana", f"I adopted cat number {n} on the {n} of May 2023!") for n in range(1, 9)
]
QUESTIONS = [
    Question(f"q{n}", "pets", f"When was cat {n} adopted?", "May", "temporal", ())
    for n in range(1, 9)
]


def models(script=perfect) -> ModelSet:
    return ModelSet(
        {"all": ScriptedBackbone(script, name="all")},
        HashEncoder(dimension=PROFILE.encoder.dimension, name=PROFILE.encoder.asset),
        ScriptedTagger(name=PROFILE.tagger.asset),
    )
