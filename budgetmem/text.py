"""Text without a model: sentences, keywords, keyphrases, and escaping what a history says."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable

import sentencex
import snowballstemmer
from bm25s.stopwords import STOPWORDS_EN_PLUS

_FILLERS = frozenset({
    "also", "anything", "could", "everything", "get", "gets", "getting", "go", "going", "gonna",
    "got", "hello", "hey", "hi", "let", "lets", "lot", "maybe", "might", "much", "oh", "ok",
    "okay", "really", "say", "says", "something", "sure", "thing", "things", "way", "well",
    "would", "yeah", "yes",
})  # fmt: skip
_STOP_WORDS = frozenset(STOPWORDS_EN_PLUS) | _FILLERS
"""English function words, and what chats are padded with."""

_CJK = "\u3040-\u30ff\u3400-\u9fff"
# A word keeps its apostrophes and hyphens; scripts without spaces give one word a character.
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+(?:['’\-][^\W_{_CJK}]+)*")
_POSSESSIVE = re.compile(r"['’](?:s|re|ve|ll|d|m|t)$")

_ESCAPES = {"&": "&amp;", "<": "&lt;", "[": "&#91;"}
_UNESCAPES = {entity: char for char, entity in _ESCAPES.items()}
_UNSAFE = re.compile(
    r"&(?=amp;|lt;|#91;)"  # what unescaping would otherwise take for ours
    r"|<(?=[^\W\d]|[/|!?｜]|0x|\s+[/|])"  # tags, comments, <|special|> and <0x0A> tokens
    r"|\[(?=/?[A-Z_]{3,}\])"  # [INST] and its kin
)
_ENTITY = re.compile("|".join(re.escape(entity) for entity in _UNESCAPES))


def escape(text: str) -> str:
    """History text as data: it can neither open nor close a tag, nor pose as chat markup.

    Only what could be markup changes ("a < b" and "<3" stay), so small models read plain prose.
    `unescape` is the exact inverse.
    """
    return _UNSAFE.sub(lambda match: _ESCAPES[match.group()], text)


def unescape(text: str) -> str:
    """The inverse of `escape`; also right for model replies that quote escaped text."""
    return _ENTITY.sub(lambda match: _UNESCAPES[match.group()], text)


def quote_lines(text: str, prefix: str = "  ") -> str:
    """Every line of `text` behind `prefix`, empty ones left out.

    A memory's line then never begins a prompt line, whatever it says: `[3] ` or `Instruction:`
    inside a memory stays inside it. Every Unicode line boundary counts as one.
    """
    return "\n".join(prefix + line for line in text.splitlines() if line.strip())


def one_line(text: str) -> str:
    """`text` with every run of whitespace made one space."""
    return " ".join(text.split())


def sentences(text: str) -> tuple[str, ...]:
    """The sentences of `text`, stripped, in order."""
    return tuple(s for piece in sentencex.segment("en", text) if (s := piece.strip()))


def words(text: str) -> tuple[str, ...]:
    """The words of `text` as written."""
    return tuple(_WORD.findall(text))


def is_content(word: str) -> bool:
    """Whether a word says something by itself: not a function word or a chat filler."""
    plain = _plain(word)
    return bool(plain) and plain not in _STOP_WORDS


def keywords(text: str) -> tuple[str, ...]:
    """Stems of the content words of `text` in order, repeats included (Snowball English)."""
    return tuple(filter(None, map(_keyword, words(text))))


def keyphrases(texts: Iterable[str], limit: int, longest: int = 3) -> tuple[str, ...]:
    """The best keyphrases of `texts`, best first, as they are written.

    RAKE (Rose, Engel, Cramer and Cowley, "Automatic Keyword Extraction from Individual
    Documents", 2010): candidates are runs of content words, a word scores degree / frequency, a
    phrase the sum of its words. Here a phrase has at most `longest` words and its score is
    weighted by how often it occurs.
    """
    candidates = [phrase for text in texts for phrase in _runs(text) if len(phrase) <= longest]
    frequency, degree = Counter[str](), Counter[str]()
    for phrase in candidates:
        for word in keywords(" ".join(phrase)):
            frequency[word] += 1
            degree[word] += len(phrase)
    written = {keywords(" ".join(phrase)): " ".join(phrase) for phrase in reversed(candidates)}
    occurs = Counter(keywords(" ".join(phrase)) for phrase in candidates)
    scores = {
        stems: occurs[stems] * sum(degree[stem] / frequency[stem] for stem in stems)
        for stems in written
    }
    ranked = sorted(written, key=lambda stems: (-scores[stems], written[stems]))
    return tuple(written[stems] for stems in ranked[:limit])


def _runs(text: str) -> Iterable[tuple[str, ...]]:
    """Maximal runs of content words that no punctuation interrupts."""
    run: list[str] = []
    end = 0
    for match in _WORD.finditer(text):
        if text[end : match.start()].strip() and run:
            yield tuple(run)
            run = []
        end = match.end()
        if is_content(match.group()):
            run.append(match.group())
        elif run:
            yield tuple(run)
            run = []
    if run:
        yield tuple(run)


def _plain(word: str) -> str:
    return _POSSESSIVE.sub("", word.lower())


_LONGEST_KEPT = 32
"""Characters of a word whose stem is remembered: few words are longer, and none is said twice."""


def _keyword(word: str) -> str:
    """The stem of a content word, "" of any other."""
    return _remembered(word) if len(word) <= _LONGEST_KEPT else _stemmed(word)


@functools.lru_cache(maxsize=65536)
def _remembered(word: str) -> str:
    return _stemmed(word)


def forget_words() -> None:
    """Remembers no word any more: some are of texts that were erased."""
    _remembered.cache_clear()


def _stemmed(word: str) -> str:
    # A stemmer holds the word it works on, so a shared one would not be safe across threads.
    stemmer = snowballstemmer.stemmer("english")
    return str(stemmer.stemWord(_plain(word))) if is_content(word) else ""
