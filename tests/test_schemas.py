"""Strings of replies, bounded by sentences."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.schemas import SENTENCE, sentences


@pytest.mark.parametrize(
    "text",
    ["Ana moved in May.", "It cost $3.50 at 7 p.m.", "no mark", "Really?", "one, two; three"],
)
def test_one_sentence(text):
    assert re.search(SENTENCE["pattern"], text)


@pytest.mark.parametrize(
    "text", ["", ".", "One. Two.", "One! Two", 'a "quote"', "two\nlines", "a \\ b"]
)
def test_what_is_none_or_more_or_needs_an_escape(text):
    assert not re.search(SENTENCE["pattern"], text)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_so_many_sentences(most):
    pattern = sentences(most)["pattern"]
    for count in range(1, 6):
        assert bool(re.search(pattern, " ".join(["Ana moved at 7.30."] * count))) == (count <= most)
    assert not re.search(pattern, "no end")


@given(st.from_regex(SENTENCE["pattern"], fullmatch=True))
def test_a_sentence_is_the_same_in_json(text):
    assert json.loads(f'"{text}"', strict=False) == text
