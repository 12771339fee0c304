"""Made-up outcomes with something to learn: hard questions need dear tiers, easy ones do not.

A question is hard if the first of its two features is 1. The score of a hard one grows with every
tier; an easy one is answered by any path.
"""

from itertools import product

import numpy as np

from training.config import TrainConfig
from training.rollouts.environment import Embedded, RecordedEnvironment
from training.rollouts.outcomes import Leaf, Node, OutcomeFile, Outcomes, Writer
from training.rollouts.paths import DEPTHS, LETTERS
from training.splits import Splits

DIMENSION = 4
FEATURES = ("toy.hard", "toy.noise")
PATHS = tuple(
    "".join(letters)
    for letters in product(LETTERS, ("LLL", "MMM", "HHH", "LMH", "MHL", "HLM"), LETTERS)
)
"""Every tier of the filter and the summary, with six rows between them."""
PRICE = (1e-5, 4e-5, 16e-5)
SETTING = {
    "dataset": "locomo",
    "sha256": "of the data",
    "split": "train",
    "profile": "small",
    "strategy": "capacity",
    "max_tokens": 800,
    "backbones": {"low": "toy"},
    "encoder": "minilm-l6-v2",
}


def outcomes(number: int, *, history: str = "h0", hard: bool | None = None) -> Outcomes:
    hard = number % 2 == 0 if hard is None else hard
    question = f"{history}-q{number}"
    noise = np.random.default_rng(number).normal()
    node = Node((float(hard), noise), (f"{history}-c{number}",))
    return Outcomes(
        question=question,
        history=history,
        category="toy",
        nodes={path[:depth]: node for path in PATHS for depth in DEPTHS.values()},
        leaves={path: leaf(path, hard) for path in PATHS},
        recall={},
    )


def leaf(path: str, hard: bool) -> Leaf:
    tiers = [LETTERS.index(letter) for letter in path]
    score = 0.05 + 0.09 * sum(tiers) if hard else 0.9
    return Leaf(score, (1e-5, *(PRICE[tier] for tier in tiers), 2e-5), answer_tokens=9)


def outcome_file(count: int, *, history: str = "h0", **setting: object) -> OutcomeFile:
    each = tuple(outcomes(number, history=history) for number in range(count))
    return OutcomeFile({**SETTING, **setting}, FEATURES, each)


def vectors(file: OutcomeFile, *_: object) -> Embedded:
    random = np.random.default_rng(1)
    chunks = {
        (o.question, chunk)
        for o in file.outcomes
        for node in o.nodes.values()
        for chunk in node.chunks
    }
    return Embedded(
        {o.question: random.normal(size=DIMENSION).astype(np.float32) for o in file.outcomes},
        {name: random.normal(size=DIMENSION).astype(np.float32) for name in sorted(chunks)},
    )


def environment(count: int, history: str = "h0") -> RecordedEnvironment:
    file = outcome_file(count, history=history)
    return RecordedEnvironment(file, vectors(file))


def splits() -> Splits:
    hashes = {"outcomes": "aa", "validation": "bb", "data": "cc"}
    recorded = environment(12)
    return Splits(recorded, environment(6, "h1"), recorded, None, FEATURES, SETTING, hashes)


def write(path, file: OutcomeFile):
    writer = Writer(path, file.setting, file.features)
    for each in file.outcomes:
        writer.write(each)
    return path


def config(out, **values: object) -> TrainConfig:
    small = {
        "updates": 12,
        "batch": 8,
        "evaluate_every": 4,
        "checkpoint_every": 3,
        "policy": {"hidden": 8, "projection": 4},
    }
    paths = {name: f"{name}.file" for name in ("outcomes", "validation", "data")}
    return TrainConfig.model_validate({**paths, "out": out, **small, **values})
