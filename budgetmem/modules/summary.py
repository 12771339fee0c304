"""Summary: the extracted memory, from the kept chunks and what the other modules found."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from budgetmem.dated_chunks import as_found
from budgetmem.errors import ReplyError
from budgetmem.modules.base import LocalRung, Tools
from budgetmem.modules.extraction import distinct
from budgetmem.modules.lines import Line, lines, sentence_lines
from budgetmem.modules.ranking import Scores, best, coverage, similarity
from budgetmem.periods import heading
from budgetmem.replies import read_list
from budgetmem.schemas import SENTENCE
from budgetmem.text import escape, keywords, one_line, unescape
from budgetmem.tiers import Tier
from budgetmem.types import Chunk, Finding, Workspace

WORDS: Mapping[Tier, int] = {Tier.LOW: 60, Tier.MID: 150, Tier.HIGH: 300}
"""Length of a memory by the tier that it is written on, in whitespace-separated words: what a tier
buys is also how much the answerer reads."""

HEADING_WORDS = 3
"""Words of a session's date, reserved with every piece since each may need one."""

LONG_TURN = 60
"""Turns of more words are taken sentence by sentence."""

FOLLOWS = 0.5
"""Share of a question's score that the turn after it gets: the answer need not repeat its words."""

REPEATS = 0.8
"""A piece repeats another if that holds this share of its keywords."""

COSINE_WEIGHT = 2.0

QUOTED = 0.6
"""A turn holds a quote that shares this part of its keywords; small models copy loosely."""

_SOURCES = ("entity", "temporal", "topic")
_SHOWN = 24
_SHOWN_CHARACTERS = 240


@dataclass(frozen=True)
class _Piece:
    """A candidate for the memory: a line, or a finding. `order` is its place in time."""

    text: str
    time: datetime | None
    chunk_ids: tuple[str, ...]
    order: tuple[int, int]

    @cached_property
    def stems(self) -> frozenset[str]:
        return frozenset(keywords(self.text))


class Summary:
    """Writes the extracted memory."""

    name = "summary"
    about = "Writes the memory: a short text with everything needed to answer the question."
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "quotes": {
                "type": "array",
                "items": SENTENCE,
                "minItems": 3,
                "maxItems": 5,
            }
        },
        "required": ["quotes"],
        "additionalProperties": False,
    }

    @property
    def local(self) -> Mapping[str, LocalRung]:
        return {"rules": by_score, "specialist": by_similarity, "as_found": everything}

    def reads(self, work: Workspace) -> tuple[Chunk, ...]:
        return work.kept

    def render(self, work: Workspace) -> Mapping[str, str]:
        """`findings`: one escaped, bounded line each, or `(none)`."""
        shown = [
            f"- {escape(one_line(finding.text)[:_SHOWN_CHARACTERS])}"
            for finding in _found(work)[:_SHOWN]
        ]
        return {"findings": "\n".join(shown) or "(none)"}

    def parse(self, reply: str, work: Workspace) -> tuple[Finding, ...]:
        """The turns that the reply quotes, in their own words, and then those that score best.

        A quote that no kept turn holds is dropped, so the memory says nothing that nobody said.
        """
        turns = _digestible(lines(work.kept))
        quoted = [_quoted(quote, turns) for quote in read_list(reply, "quotes")]
        found = [turn for turn in quoted if turn is not None]
        if not found:
            raise ReplyError(f"none of the {len(quoted)} quotes is in the memories")
        return _written(_pieces([*found, *_ranked(turns, _scores(turns, work))]), work.tier)


async def by_score(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """Turns by the score of their chunks, then findings, up to WORDS, in time order."""
    turns = _digestible(lines(work.kept))
    ranked = _pieces(_ranked(turns, _scores(turns, work)))
    return _written([*ranked, *_finding_pieces(work)], work.tier)


async def by_similarity(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """Sentences, as `by_score`, each score times exp(COSINE_WEIGHT * cosine with the query)."""
    parts = sentence_lines(lines(work.kept))
    if not parts:
        return _written([], work.tier)
    cosines, _ = await similarity(tools, work.query, [part.told for part in parts])
    scores = _scores(parts, work) * np.exp(COSINE_WEIGHT * cosines)
    return _written([*_pieces(_ranked(parts, scores)), *_finding_pieces(work)], work.tier)


async def everything(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """All kept chunks as they were found, however long that is."""
    return (_memory(as_found(work.kept).strip(), [chunk.id for chunk in work.kept]),)


def _scores(said: Sequence[Line], work: Workspace) -> Scores:
    """Of each line: the score of its chunk in retrieval, more if findings cite that, and more for
    the query's words in it, or in a question that it may answer."""
    chunks = {chunk.id: max(chunk.score, 0.0) for chunk in work.kept}
    cited = Counter(id_ for finding in _found(work) for id_ in finding.chunk_ids)
    of_chunk = {id_: score * (1 + cited[id_]) for id_, score in chunks.items()}
    found = coverage(work.query, [line.text for line in said])
    for i, (line, after) in enumerate(itertools.pairwise(said)):
        if line.text.rstrip().endswith("?") and line.time == after.time:
            found[i + 1] += FOLLOWS * found[i]
    scores = [max(of_chunk.get(id_, 0.0) for id_ in line.chunk_ids) for line in said]
    # Where retrieval has no scores, the words alone decide.
    return (np.array(scores) + np.finfo(np.float64).tiny) * (1 + found)


def _ranked(said: Sequence[Line], scores: Scores) -> list[Line]:
    return [said[i] for i in best(scores, len(said))]


def _quoted(quote: object, turns: Sequence[Line]) -> Line | None:
    """The turn with most of the quote's keywords, if it has enough of them."""
    if not isinstance(quote, str) or not turns:
        return None
    shares = coverage(unescape(quote), [turn.told for turn in turns])
    (index,) = best(shares, 1)
    return turns[index] if shares[index] >= QUOTED else None


def _digestible(turns: Iterable[Line]) -> tuple[Line, ...]:
    split = [
        part
        for turn in turns
        for part in (sentence_lines([turn]) if len(turn.text.split()) > LONG_TURN else (turn,))
    ]
    return tuple(replace(part, position=i) for i, part in enumerate(split))


def _found(work: Workspace) -> tuple[Finding, ...]:
    return distinct(finding for source in _SOURCES for finding in work.findings.get(source, ()))


def _pieces(said: Iterable[Line]) -> list[_Piece]:
    return [_Piece(line.told, line.time, line.chunk_ids, (0, line.position)) for line in said]


def _finding_pieces(work: Workspace) -> list[_Piece]:
    """Findings come after the turns of their session, which `order` says by its first part."""
    chunks = {chunk.id: chunk for chunk in work.kept}
    pieces = []
    for number, finding in enumerate(_found(work)):
        sources = [chunks[id_] for id_ in finding.chunk_ids if id_ in chunks]
        time = sources[0].time if sources else None
        pieces.append(_Piece(one_line(finding.text), time, finding.chunk_ids, (1, number)))
    return pieces


def _written(ranked: Sequence[_Piece], tier: Tier) -> tuple[Finding, ...]:
    """The memory of the best pieces that fit, under the dates of their sessions, in time order."""
    chosen = _fitting(ranked, WORDS[tier])
    sessions: dict[datetime | None, list[_Piece]] = {}
    for piece in sorted(chosen, key=_when):
        sessions.setdefault(piece.time, []).append(piece)
    text = "\n".join(_session(time, pieces) for time, pieces in sessions.items())
    return (_memory(text, [id_ for piece in chosen for id_ in piece.chunk_ids]),)


def _fitting(ranked: Sequence[_Piece], words: int) -> list[_Piece]:
    """The best pieces within so many words; of two that say the same, the one that says more."""
    chosen: list[_Piece] = []
    for piece in ranked:
        if any(_repeats(piece, other) for other in chosen):
            continue
        others = [other for other in chosen if not _repeats(other, piece)]
        left = words - sum(map(_length, others))
        if _length(piece) <= left:
            chosen = [*others, piece]
        elif not chosen:
            chosen = [_cut(piece, left - HEADING_WORDS)]
    return chosen


def _repeats(piece: _Piece, other: _Piece) -> bool:
    return len(piece.stems & other.stems) >= REPEATS * len(piece.stems)


def _length(piece: _Piece) -> int:
    return len(piece.text.split()) + HEADING_WORDS


def _cut(piece: _Piece, most: int) -> _Piece:
    return replace(piece, text=" ".join([*piece.text.split()[: most - 1], "…"]))


def _when(piece: _Piece) -> tuple[str, tuple[int, int]]:
    return (piece.time.isoformat() if piece.time else "", piece.order)


def _session(time: datetime | None, pieces: Sequence[_Piece]) -> str:
    said = "\n".join(piece.text for piece in pieces)
    return f"{heading(time)}\n{said}" if time else said


def _memory(text: str, chunk_ids: Iterable[str]) -> Finding:
    return Finding("summary", text, tuple(dict.fromkeys(chunk_ids)))
