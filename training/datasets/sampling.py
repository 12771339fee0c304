"""Choosing some of a dataset's questions."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from budgetmem.errors import InvalidInput
from training.datasets.base import Question


def interleaved(questions: Sequence[Question], seed: int) -> list[Question]:
    """All questions in a seeded order, of which every beginning has the categories in proportion.

    So a sample that grows keeps what it had, and two samples of one seed share their questions.
    """
    by_category: dict[str, list[Question]] = defaultdict(list)
    for question in random.Random(seed).sample(list(questions), len(questions)):
        by_category[question.category].append(question)
    # The middle of each one's share of its category's way from 0 to 1; ties go by category.
    placed = [
        ((place + 0.5) / len(group), category, question)
        for category, group in by_category.items()
        for place, question in enumerate(group)
    ]
    return [question for _, _, question in sorted(placed, key=lambda each: each[:2])]


def named(questions: Sequence[Question], ids: Sequence[str]) -> list[Question]:
    """Those with these ids, in their order. Raises InvalidInput for one that is not there."""
    found = {question.id: question for question in questions}
    if missing := sorted(set(ids) - set(found)):
        raise InvalidInput("outcomes", f"has a question that the dataset lacks: {missing[0]!r}")
    return [found[name] for name in ids]


def sample(questions: Sequence[Question], count: int, seed: int) -> list[Question]:
    """The first of `interleaved`, in the dataset's order."""
    chosen = {question.id for question in interleaved(questions, seed)[:count]}
    return [question for question in questions if question.id in chosen]
