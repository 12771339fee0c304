"""Metrics: token F1 and multi-answer F1 of answers (paper, section on evaluation), evidence recall.

Both F1 scores are those of the paper's implementation, with one difference that is chosen: the text
"API Request Error" is scored like any other. There it stands for a failed call, and scores 0; here
a failed call is an error and never a prediction.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable
from functools import cache

from nltk.stem import PorterStemmer

DROPPED_WORDS = re.compile(r"\b(a|an|the|and)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize(answer: str) -> str:
    """Lower case, without commas, punctuation and the words a, an, the, and."""
    text = answer.replace(",", "").lower().translate(PUNCTUATION)
    return " ".join(DROPPED_WORDS.sub(" ", text).split())


def token_f1(prediction: str, gold: str) -> float:
    """F1 of the multisets of stemmed tokens, in [0, 1]; 0 if nothing overlaps."""
    predicted, expected = stems(prediction), stems(gold)
    common = (Counter(predicted) & Counter(expected)).total()
    if common == 0:
        return 0.0
    precision, recall = common / len(predicted), common / len(expected)
    return 2 * precision * recall / (precision + recall)


def multi_answer_f1(prediction: str, gold: str) -> float:
    """For lists: both sides are split at commas; the best match of each gold item, averaged."""
    predictions = [item.strip() for item in prediction.split(",")]
    best = [max(token_f1(p, g.strip()) for p in predictions) for g in gold.split(",")]
    return sum(best) / len(best)


def evidence_recall(evidence: Iterable[str], kept_turn_ids: Iterable[str]) -> float | None:
    """The share of the evidence turns that were kept, by turn id, in [0, 1].

    None where no evidence is known: such a question belongs in no mean.
    """
    wanted = set(evidence)
    return len(wanted & set(kept_turn_ids)) / len(wanted) if wanted else None


def stems(text: str) -> list[str]:
    """Porter stems of the normalised text's tokens, in order."""
    return [_stemmer().stem(token) for token in normalize(text).split()]


@cache
def _stemmer() -> PorterStemmer:
    return PorterStemmer()
