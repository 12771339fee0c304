"""From rankings to the chunks that reach the pipeline: which ranking, and filling the budget.

Pure functions; what ranks is the store (exact inner product, BM25).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from budgetmem.backbone import TokenCounter
from budgetmem.chunking import Line, Unit, chunk_id
from budgetmem.line_ranking import focus, rank_lines
from budgetmem.ranking import Ranked, fuse
from budgetmem.store.base import Hits
from budgetmem.types import Chunk

_GIVE_UP_AFTER = 32
"""Misses in a row after which the budget counts as filled."""

KEYWORD_WEIGHT = 1.5
"""What a rank by words counts against one by vectors, tuned on LoCoMo's training conversations."""


@dataclass(frozen=True)
class Ranking:
    """What a ranking of a RetrievalProfile counts: 0 where it does not look at all.

    `lines`: both are signals of a model that ranks single lines, without their neighbours.
    """

    vectors: float
    words: float
    lines: bool = False


RANKINGS: Mapping[str, Ranking] = {
    "dense": Ranking(vectors=1.0, words=0.0),
    "keyword": Ranking(vectors=0.0, words=1.0),
    "fused": Ranking(vectors=1.0, words=KEYWORD_WEIGHT),
    "lines": Ranking(vectors=1.0, words=1.0, lines=True),
}


def order(query: str, hits: Hits, ranking: str, constant: int) -> list[tuple[Unit, float]]:
    """The found units, best first, by a named ranking: one of the two as it is, both fused, or
    their single lines."""
    weights = RANKINGS[ranking]
    if weights.lines:
        ranked: Sequence[Ranked] = rank_lines(query, hits.dense, hits.keyword, hits.units)
        return [(focus(hits.units[name]), score) for name, score in ranked]
    if weights.words == 0:
        ranked = hits.dense
    elif weights.vectors == 0:
        ranked = hits.keyword
    else:
        ranked = fuse([(hits.dense, weights.vectors), (hits.keyword, weights.words)], constant)
    return [(hits.units[name], score) for name, score in ranked]


@dataclass(frozen=True)
class _Run:
    """Lines [first, last] of a session that are taken and adjacent."""

    first: int
    last: int
    tokens: int
    score: float


class _Selection:
    """What was taken so far: per session its lines by position, and the runs they form."""

    def __init__(self, max_tokens: int, tokens: TokenCounter) -> None:
        self._max_tokens = max_tokens
        self._tokens = tokens
        self._total = 0
        self._lines: dict[str, dict[int, Line]] = {}
        self._runs: dict[str, list[_Run]] = {}

    @property
    def empty(self) -> bool:
        return not self._runs

    def take(self, unit: Unit, score: float, always: bool = False) -> bool:
        """Adds the unit, merged with what it touches, if the total still fits (or `always`)."""
        runs = self._runs.get(unit.session, [])
        touched = [r for r in runs if r.first <= unit.last + 1 and r.last >= unit.first - 1]
        held = self._lines.get(unit.session, {})
        lines = {**held, **dict(enumerate(unit.lines, start=unit.first))}
        first = min([unit.first, *(r.first for r in touched)])
        last = max([unit.last, *(r.last for r in touched)])
        count = self._tokens.count(_text(lines, first, last))
        total = self._total + count - sum(r.tokens for r in touched)
        if total > self._max_tokens and not always:
            return False
        run = _Run(first, last, count, max([score, *(r.score for r in touched)]))
        self._total = total
        self._lines[unit.session] = lines
        self._runs[unit.session] = [r for r in runs if r not in touched] + [run]
        return True

    def chunks(self, sessions: Sequence[str]) -> tuple[Chunk, ...]:
        return tuple(
            self._chunk(session, run)
            for session in sessions
            for run in sorted(self._runs.get(session, []), key=lambda r: r.first)
        )

    def _chunk(self, session: str, run: _Run) -> Chunk:
        held = self._lines[session]
        lines = [held[position] for position in range(run.first, run.last + 1)]
        text = _text(held, run.first, run.last)
        return Chunk(
            id=chunk_id(session, run.first, text),
            session=session,
            time=next((line.time for line in lines if line.time is not None), None),
            turn_ids=tuple(dict.fromkeys(line.turn_id for line in lines)),
            text=text,
            tokens=run.tokens,
            score=run.score,
        )


def candidates(max_tokens: int) -> int:
    """Units to ask of each ranking: more than fit, since they overlap and some are skipped."""
    return max(400, max_tokens // 4)


def fill(
    ranked: Iterable[tuple[Unit, float]],
    sessions: Sequence[str],
    max_tokens: int,
    tokens: TokenCounter,
) -> tuple[Chunk, ...]:
    """Takes units in rank order until `max_tokens` are filled, and merges what overlaps or touches.

    A unit that does not fit is tried with the line of its focus alone, then skipped. The token
    counts of the chunks sum to at most `max_tokens`, except that the best unit's focus is always
    there, however long. The chunks come in the order of `sessions` (in time), then of position.
    """
    selection = _Selection(max_tokens, tokens)
    best: tuple[Unit, float] | None = None
    misses = 0
    for unit, score in ranked:
        best = best or (unit, score)
        parts = [unit] if len(unit.lines) == 1 or unit.focus is None else [unit, focus(unit)]
        taken = any(selection.take(part, score) for part in parts)
        misses = 0 if taken else misses + 1
        if misses == _GIVE_UP_AFTER:
            break
    if selection.empty and best is not None:
        selection.take(_first_line(best[0]), best[1], always=True)
    return selection.chunks(sessions)


def _first_line(unit: Unit) -> Unit:
    """The unit reduced to its focus, or to its first line if it has none."""
    return focus(replace(unit, focus=unit.focus or 0))


def _text(lines: Mapping[int, Line], first: int, last: int) -> str:
    return "\n".join(lines[position].text for position in range(first, last + 1))
