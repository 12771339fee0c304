from collections import Counter

import pytest

from training.datasets.base import Question
from training.sampling import sample

QUESTIONS = [
    Question(f"q{n}", "h", "?", "gold", "temporal" if n % 4 else "multi-hop", ()) for n in range(40)
]


def test_a_sample_is_seeded_and_keeps_the_proportions():
    chosen = sample(QUESTIONS, 20, seed=1)
    assert len(chosen) == 20
    assert Counter(q.category for q in chosen) == {"temporal": 15, "multi-hop": 5}
    assert chosen == sample(QUESTIONS, 20, seed=1)
    assert chosen != sample(QUESTIONS, 20, seed=2)
    assert chosen == [q for q in QUESTIONS if q in chosen]


@pytest.mark.parametrize("count", [1, 7, 39, 40, 100])
def test_a_sample_has_the_size_that_was_asked_for(count: int):
    assert len(sample(QUESTIONS, count, seed=0)) == min(count, 40)
