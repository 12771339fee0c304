"""The ranking of single lines: each signal by itself, and what all of them come to."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.chunking import Unit, units
from budgetmem.config import ChunkingProfile
from budgetmem.line_ranking import WEIGHTS, focus, rank_lines, signals
from budgetmem.types import Turn
from tests.toys import Words

TALK = (
    ("Ana", "Where did you go in May?"),
    ("Ben", "To Lisbon, with my sister."),
    ("Ana", "Lovely! My cat stayed at home."),
    ("Ben", "Cats do that."),
)


def talk(name: str = "s", time: datetime | None = None, said=TALK) -> list[Unit]:
    turns = [
        Turn(f"{name}{i}", speaker, text, time=time, session=name)
        for i, (speaker, text) in enumerate(said)
    ]
    return units(name, turns, ChunkingProfile(), Words())


def signal(name: str, query: str, found: list[Unit], dense=(), keyword=()) -> list[float]:
    column = list(WEIGHTS).index(name)
    return list(signals(query, dense, keyword, found)[:, column])


def test_a_unit_that_vectors_missed_is_as_near_as_the_last_found():
    a, b, c, d = talk()
    dense = [(a.id, 0.9), (b.id, 0.4)]
    assert signal("dense", "q", [a, b, c, d], dense) == [0.9, 0.4, 0.4, 0.4]


def test_keywords_count_against_the_best_of_them():
    a, b, c, _ = talk()
    assert signal("keyword", "q", [a, b, c], (), [(b.id, 8.0), (a.id, 2.0)]) == [0.25, 1, 0]
    assert signal("keyword", "q", [a, b], (), ()) == [0, 0]


def test_a_rare_word_covers_more_of_the_query():
    found = talk()
    shares = signal("coverage", "Did the cat go to Lisbon?", found)
    assert shares[1] > shares[0] == 0.0
    assert 0 < shares[3] < shares[1]
    assert signal("coverage", "?!", found) == [0] * 4


def test_only_a_speaker_named_alone_counts():
    found = talk()
    assert signal("speaker", "Where did ben go?", found) == [0, 1, 0, 1]
    assert signal("speaker", "Where did Ana and Ben go?", found) == [0] * 4
    assert signal("speaker", "Where did Bennet go?", found) == [0] * 4


def test_a_session_lends_its_best_to_all_of_its_lines():
    a, b, c, d = talk()
    other, *_ = talk("t")
    dense = [(a.id, 0.9), (b.id, 0.6), (c.id, 0.3), (d.id, 0.1), (other.id, 0.5)]
    keyword = [(a.id, 4.0), (other.id, 1.0)]
    found = [a, b, c, d, other]
    assert signal("session_dense", "q", found, dense) == pytest.approx([0.6] * 4 + [0.5])
    assert signal("session_keyword", "q", found, dense, keyword) == [1] * 4 + [0.25]


def test_the_line_after_a_question_answers_it():
    found = talk()
    shares = signal("answers", "Where did Ben go in May?", found)
    assert shares[1] > 0
    assert [shares[0], *shares[2:]] == [0, 0, 0]
    assert signal("asks", "q", found) == [1, 0, 0, 0]


def test_the_day_that_a_query_names():
    found = [
        talk("s", datetime(2023, 5, 8, 9))[0],
        talk("t", datetime(2023, 5, 9))[0],
        talk("u")[0],
    ]
    assert signal("day", "What did Ana ask on 8 May 2023?", found) == [1, 0, 0]
    assert signal("day", "What did Ana ask in May 2023?", found) == [0, 0, 0]


def test_the_line_that_most_signals_speak_for_comes_first():
    found = talk()
    near = [(unit.id, 0.5) for unit in found]
    ranked = rank_lines("Where did Ben go in May?", near, near, {u.id: u for u in found})
    assert ranked[0][0] == found[1].id


def test_a_unit_without_a_focus_is_a_line_of_its_own():
    pack = Unit("p", "s", 0, None, talk()[1].lines, 9)
    assert focus(pack) is pack
    assert rank_lines("q", [("p", 0.5)], (), {"p": pack}) == [("p", 1.0)]


def test_nothing_found_is_no_ranking():
    assert rank_lines("q", (), (), {}) == []


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4), st.randoms())
def test_scores_are_chances_in_an_order_that_the_hits_order_does_not_change(scores, random):
    found = talk()
    dense = [(unit.id, score) for unit, score in zip(found, scores, strict=True)]
    by_id = {unit.id: unit for unit in found}
    ranked = rank_lines("Where is the cat?", dense, (), by_id)
    assert sum(score for _, score in ranked) == pytest.approx(1)
    assert [score for _, score in ranked] == sorted((s for _, s in ranked), reverse=True)
    random.shuffle(dense)
    assert rank_lines("Where is the cat?", dense, (), by_id) == ranked
