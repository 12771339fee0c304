"""Words rank by the same scores, bit for bit, as FTS5 ranks them."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgetmem.ranking import query_words
from budgetmem.store import rows
from budgetmem.store.words import Corpus, ranked, tokenized

TEXTS = st.lists(
    st.text(st.sampled_from("ab éÉßσςİ日本🙂\u0301\u00ad_-'\"*.,12\n"), max_size=30)
    | st.lists(
        st.sampled_from(["painting", "painted", "cat", "Cats", "naïve", "foo-bar", "x_y"]),
        max_size=8,
    ).map(" ".join),
    min_size=1,
    max_size=8,
)
WORDS = st.lists(
    st.sampled_from(["paint", "paints", "cat", "cat", "naive", "foo-bar", "x_y", "-", "the"])
    | st.text(st.sampled_from("abéσ日🙂\u0301_-'\"*12"), min_size=1, max_size=5),
    min_size=1,
    max_size=6,
)


def by_fts5(texts, words, limit):
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(rows.WORDS)
        db.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", enumerate(texts))
        found = db.execute(
            "SELECT rowid, bm25(words) FROM words WHERE words MATCH ? ORDER BY 2, 1 LIMIT ?",
            (rows.match_expression(words), limit),
        )
        return tuple((f"{number:03}", -score) for number, score in found)


def by_counting(texts, words, limit):
    held = tokenized(texts)
    corpus = Corpus(len(held), sum(map(len, held)))
    units = [(f"{number:03}", each) for number, each in enumerate(held)]
    return ranked(tokenized(words), units, corpus, limit)


@settings(max_examples=200)
@given(texts=TEXTS, words=WORDS, limit=st.integers(1, 9))
def test_any_words_rank_any_texts_as_fts5_does(texts, words, limit):
    assert by_counting(texts, words, limit) == by_fts5(texts, words, limit)


@settings(max_examples=50)
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=6), query=st.text(max_size=20))
def test_so_do_the_words_of_any_question(texts, query):
    if words := query_words(query):
        assert by_counting(texts, words, 9) == by_fts5(texts, words, 9)


def test_words_are_stemmed_and_in_order():
    assert tokenized(["Painting the foo-bar", "", "Élan"]) == [
        ["paint", "the", "foo", "bar"],
        [],
        ["elan"],
    ]


@pytest.mark.parametrize("words", [["foo-bar"], ["bar-foo"], ["foo", "bar"]])
def test_a_word_of_several_tokens_is_a_phrase(words):
    texts = ["foo bar foo bar", "foo, bar", "bar", "x", "y"]
    assert by_counting(texts, words, 9) == by_fts5(texts, words, 9) != ()


def test_units_without_the_words_may_be_left_out():
    held = tokenized(["a cat", "a dog", "cats and dogs"])
    units = [(str(number), each) for number, each in enumerate(held)]
    corpus = Corpus(3, sum(map(len, held)))
    some = [each for each in units if "cat" in each[1]]
    assert ranked([["cat"]], some, corpus, 9) == ranked([["cat"]], units, corpus, 9) != ()
