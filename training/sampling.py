"""Choosing some of a dataset's questions."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from training.datasets.base import Question


def sample(questions: Sequence[Question], count: int, seed: int) -> list[Question]:
    """A seeded sample with the categories in proportion, in the dataset's order."""
    by_category: dict[str, list[Question]] = defaultdict(list)
    for question in random.Random(seed).sample(list(questions), len(questions)):
        by_category[question.category].append(question)
    count = min(count, len(questions))
    share = count / len(questions)
    chosen = [q for group in by_category.values() for q in group[: round(share * len(group))]]
    rest = [q for group in by_category.values() for q in group if q not in chosen]
    ids = {q.id for q in (chosen + rest)[:count]}
    return [question for question in questions if question.id in ids]
