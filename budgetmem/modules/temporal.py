"""Temporal: what happened when, as far as the question asks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from budgetmem.dates import TimeExpression, resolve
from budgetmem.modules.base import LocalRung, Tools
from budgetmem.modules.extraction import (
    LIMIT,
    by_coverage,
    by_similarity,
    list_schema,
    nothing,
    read_findings,
)
from budgetmem.modules.lines import Line, lines, sentence_lines, third_person
from budgetmem.schemas import SENTENCE, STRING
from budgetmem.text import keywords, one_line
from budgetmem.types import Chunk, Finding, Workspace

_FIELDS = {"event": SENTENCE, "date": STRING}
_CLAUSE_BREAK = re.compile(
    r"\s*[;–—]\s*|\s+-+\s+|,?\s+(?:but|because|while|although|and then)\s+|,\s+(?:so\s+)?"
)
_SHORT_CLAUSE = 2
"""A clause with fewer content words says too little by itself; the whole sentence is taken."""

_BARE = re.compile(r"(?<![\w'’])(?:on|in|at|over|during|back in)\s+(?:the\s+)?$", re.IGNORECASE)
_TIED = re.compile(
    r"\b(?:since|until|till|from|before|after|by|of|than|for|like|about)\s+(?:the\s+)?$",
    re.IGNORECASE,
)
_SPACE_BEFORE_MARK = re.compile(r"\s+(?=[,.;!?])")
_TIME_LABELS = frozenset({"DATE", "TIME"})


class Temporal:
    """Extracts dated events."""

    name = "temporal"
    about = "Extracts when the events that the question is about happened, as absolute dates."
    schema: Mapping[str, Any] = list_schema("events", _FIELDS)

    @property
    def local(self) -> Mapping[str, LocalRung]:
        return {"rules": by_rules, "specialist": by_tagger, "as_found": nothing}

    def reads(self, work: Workspace) -> tuple[Chunk, ...]:
        return work.kept

    def render(self, work: Workspace) -> Mapping[str, str]:
        return {}

    def parse(self, reply: str, work: Workspace) -> tuple[Finding, ...]:
        return read_findings(
            reply, "events", tuple(_FIELDS), work, _from_reply, may_be_empty=["date"]
        )


async def by_rules(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """The events of every expression that resolves, those with most query words first."""
    return by_coverage(_events(sentence_lines(lines(work.kept))), work)


async def by_tagger(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """Expressions that resolve, and the recogniser's dates that name a year, by similarity."""
    turns = lines(work.kept)
    annotations = await tools.annotate([turn.text for turn in turns])
    recognised = [
        finding
        for turn, annotation in zip(turns, annotations, strict=True)
        for entity in annotation.entities
        if entity.label in _TIME_LABELS
        for finding in _recognised(entity.text, turn)
    ]
    return await by_similarity([*_events(sentence_lines(turns)), *recognised], work, tools)


def _events(sentences: Iterable[Line]) -> Iterator[Finding]:
    for line in sentences:
        for expression in resolve(line.text, line.time)[:LIMIT]:
            yield _event(line, expression)


def _recognised(text: str, turn: Line) -> Iterator[Finding]:
    """The event of a date that no rule resolves but that names a year, such as "the 1990s"."""
    if resolve(text, turn.time) or not re.search(r"\b[12]\d{3}", text):
        return
    for line in sentence_lines([turn]):
        start = line.text.find(text)
        span = (start, start + len(text))
        if start >= 0 and not any(_overlap(span, e.span) for e in resolve(line.text, line.time)):
            yield _event(line, TimeExpression(span, text, "", "", text, relative=False))


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _event(line: Line, expression: TimeExpression) -> Finding:
    """`Ada ran (7 May 2023)`: the clause around the expression, which the date replaces."""
    start, end = _clause(line.text, expression.span)
    at, to = expression.span
    clause = f"{_untied(line.text[start:at])}{line.text[to:end]}"
    if _TIED.search(line.text[start:at]) or line.text[to : to + 2] in {"'s", "’s"}:
        clause = line.text[start:end]
    clause = _SPACE_BEFORE_MARK.sub("", one_line(clause)).strip(" ,;.!")
    event = third_person(clause, line.speaker, line.other)
    if line.speaker and line.speaker not in event:
        event = f"{line.speaker}: {event}"
    fields = {"event": event, "date": expression.human}
    if expression.value_iso:
        fields |= {"iso": expression.value_iso, "granularity": expression.granularity}
    return Finding("temporal", f"{event} ({expression.human})", line.chunk_ids, fields)


def _clause(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """The part of the sentence, between conjunctions and commas, that the expression is in."""
    breaks = [m.span() for m in _CLAUSE_BREAK.finditer(text) if not _overlap(m.span(), span)]
    start = max((end for _, end in breaks if end <= span[0]), default=0)
    end = min((begin for begin, _ in breaks if begin >= span[1]), default=len(text))
    rest = text[start : span[0]] + text[span[1] : end]
    return (start, end) if len(keywords(rest)) >= _SHORT_CLAUSE else (0, len(text))


def _untied(before: str) -> str:
    """What stands before an expression, without the preposition that only introduces it."""
    return _BARE.sub("", before)


def _from_reply(values: Mapping[str, str], chunk: Chunk) -> Finding:
    """A model may copy "yesterday", or an ISO date: both are resolved like a turn's own words.

    Without a date it is the event alone.
    """
    event, date = values["event"], values["date"]
    if not date:
        return Finding("temporal", event, (chunk.id,), {"event": event})
    found = resolve(date, chunk.time)
    whole = [e for e in found if e.text == date]
    fields = {"event": event, "date": whole[0].human if whole else date}
    if whole:
        fields |= {"iso": whole[0].value_iso, "granularity": whole[0].granularity}
    return Finding("temporal", f"{event} ({fields['date']})", (chunk.id,), fields)
