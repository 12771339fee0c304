from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.errors import InvalidInput
from training.datasets.base import Question
from training.datasets.sampling import interleaved, named, sample

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


@given(st.integers(0, 99), st.lists(st.sampled_from("abc"), max_size=40))
def test_every_beginning_of_the_order_has_the_categories_in_proportion(seed, categories):
    asked = [Question(f"q{n}", "h", "?", "gold", name, ()) for n, name in enumerate(categories)]
    order = interleaved(asked, seed)
    assert sorted(q.id for q in order) == sorted(q.id for q in asked)
    for count in range(len(order)):
        found = Counter(q.category for q in order[:count])
        for name, whole in Counter(categories).items():
            assert abs(found[name] - count * whole / len(order)) <= len(set(categories))


def test_a_larger_sample_keeps_what_a_smaller_one_has():
    assert {q.id for q in sample(QUESTIONS, 7, seed=3)} < {
        q.id for q in sample(QUESTIONS, 20, seed=3)
    }


def test_named_questions_come_in_the_order_of_their_names():
    assert named(QUESTIONS, ["q7", "q2"]) == [QUESTIONS[7], QUESTIONS[2]]
    with pytest.raises(InvalidInput, match="lacks: 'q99'"):
        named(QUESTIONS, ["q7", "q99"])
