"""Strings of replies, bounded by sentences."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.schemas import SENTENCE, sentences


@pytest.mark.parametrize(
    "text",
    [
        "Ana moved in May.",
        "It cost $3.50 at 7 p.m.",
        "no mark",
        "Really?!",
        "Well...",
        "猫が好き。",
    ],
)
def test_one_sentence(text):
    assert re.search(SENTENCE["pattern"], text)


@pytest.mark.parametrize(
    "text", ["", ".", "One. Two.", "One! Two", 'a "quote"', "two\nlines", "a \\ b", "\x00"]
)
def test_what_is_none_or_more_or_needs_an_escape(text):
    assert not re.search(SENTENCE["pattern"], text)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_so_many_sentences(most):
    pattern = sentences(most)["pattern"]
    for count in range(1, 6):
        assert bool(re.search(pattern, " ".join(["Ana moved at 7.30."] * count))) == (count <= most)


@pytest.mark.parametrize("most", [1, 3])
@given(words=st.lists(st.sampled_from(["Ana", "moved.", "at", "7.30", "。", "Why?"]), min_size=1))
def test_whatever_has_begun_can_end(most, words):
    """Word by word, what is a beginning of an allowed text is an allowed text."""
    pattern = sentences(most)["pattern"]
    for count in range(1, len(words) + 1):
        ended = sum(word[-1] in ".?" for word in words[: count - 1])
        assert bool(re.search(pattern, " ".join(words[:count]))) == (ended < most)


@given(st.from_regex(SENTENCE["pattern"], fullmatch=True))
def test_a_sentence_is_the_same_in_json(text):
    assert json.loads(f'"{text}"') == text
