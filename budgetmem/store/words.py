"""The keyword ranking of SQLite's FTS5 for a store that keeps its words elsewhere.

Words are cut and stemmed by FTS5 itself, in a database in memory, and counted here by the formula
of its `bm25()`. So both stores give the same units the same scores.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from budgetmem.ranking import Ranked

TOKENIZER = "porter unicode61"

_K1, _B = 1.2, 0.75
_LEAST_IDF = 1e-6
"""The constants of FTS5's `bm25()`."""


@dataclass(frozen=True)
class Corpus:
    """What BM25 has to know of all units of a history: how many, and how many words they hold."""

    units: int
    words: int


def tokenized(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text as the keyword index has them, in order."""
    with closing(sqlite3.connect(":memory:")) as db:
        # A word that FTS5 cuts off at its 32 KiB may end in half a character.
        db.text_factory = lambda raw: raw.decode(errors="replace")
        db.execute(
            f"CREATE VIRTUAL TABLE texts USING fts5(text, content='', tokenize='{TOKENIZER}')"
        )
        db.execute("CREATE VIRTUAL TABLE words USING fts5vocab(texts, instance)")
        db.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", enumerate(texts))
        found: list[list[str]] = [[] for _ in texts]
        for text, word in db.execute('SELECT doc, term FROM words ORDER BY doc, "offset"'):
            found[text].append(word)
    return found


def ranked(
    phrases: Sequence[Sequence[str]],
    units: Iterable[tuple[str, Sequence[str]]],
    corpus: Corpus,
    limit: int,
) -> tuple[Ranked, ...]:
    """The best units by BM25; one with none of the phrases is not among them.

    A phrase is a word of the query, tokenized: as a rule one token, else several in a row. `units`
    are (id, words), and may leave out those that hold none of the tokens. Ties are broken by id.
    """
    counts = {name: [_occurrences(each, words) for each in phrases] for name, words in units}
    lengths = {name: len(words) for name, words in units}
    hits = [sum(1 for found in counts.values() if found[place]) for place in range(len(phrases))]
    weights = [_idf(corpus.units, number) for number in hits]
    scored = [
        (name, _score(found, weights, lengths[name], corpus))
        for name, found in counts.items()
        if any(found)
    ]
    return tuple(sorted(scored, key=lambda each: (-each[1], each[0]))[:limit])


def _occurrences(phrase: Sequence[str], words: Sequence[str]) -> int:
    if len(phrase) == 1:
        return words.count(phrase[0])
    size = len(phrase)
    ends = range(size, len(words) + 1) if size else ()
    return sum(words[end - size : end] == phrase for end in ends)


def _idf(units: int, hits: int) -> float:
    idf = math.log((units - hits + 0.5) / (hits + 0.5))
    return idf if idf > 0.0 else _LEAST_IDF


def _score(found: Sequence[int], weights: Sequence[float], length: int, corpus: Corpus) -> float:
    average = corpus.words / corpus.units
    score = 0.0
    # In FTS5's order of operations: another one rounds differently.
    for count, weight in zip(found, weights, strict=True):
        score += weight * ((count * (_K1 + 1.0)) / (count + _K1 * (1 - _B + _B * length / average)))
    return score
