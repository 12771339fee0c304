"""What ranking means everywhere: ids with scores, the nearest vectors, the words of a query, and
fusing two orders."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from bm25s.stopwords import STOPWORDS_EN_PLUS

from budgetmem.backbone import Vectors

Ranked = tuple[str, float]
"""A unit's id and its score, higher is better."""

_WORD = re.compile(r"[^\W_]+")

_STOP_WORDS = frozenset(STOPWORDS_EN_PLUS)
"""English function words: they say how a question asks, not what it is about."""


def query_words(query: str) -> tuple[str, ...]:
    """The words to search for, each once: without stop words, unless there is nothing else."""
    words = tuple(dict.fromkeys(_WORD.findall(query.lower())))
    return tuple(word for word in words if word not in _STOP_WORDS) or words


def nearest(
    names: Sequence[str], matrix: Vectors, vector: Vectors, limit: int
) -> tuple[Ranked, ...]:
    """The best of `names`, whose vectors are the rows of `matrix` [len(names), dimension], by inner
    product with `vector` [dimension]. Ties are broken by the place in `names`."""
    # A matrix product rounds a row's score by where the row stands; einsum gives each row the same
    # score in any company, so a store that looks at fewer rows ranks them as one that looks at all.
    scores = np.einsum("ij,j->i", matrix, vector)
    best = np.argsort(-scores, kind="stable")[:limit]
    return tuple((names[i], float(scores[i])) for i in best)


def fuse(rankings: Sequence[tuple[Sequence[Ranked], float]], constant: int) -> list[Ranked]:
    """Reciprocal rank fusion: the sum over (ranking, weight) of weight / (constant + rank).

    Ranks count from 1. Cormack, Clarke and Buettcher, SIGIR 2009, with weights. Ties are broken
    by id, so the order is total.
    """
    scores: dict[str, float] = {}
    for ranking, weight in rankings:
        for rank, (name, _) in enumerate(ranking, start=1):
            scores[name] = scores.get(name, 0.0) + weight / (constant + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
