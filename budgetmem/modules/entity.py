"""Entity: who is related to whom or what, as far as the question asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from budgetmem.backbone import Relation
from budgetmem.dates import annotate
from budgetmem.modules.base import LocalRung, Tools
from budgetmem.modules.extraction import (
    by_coverage,
    by_similarity,
    list_schema,
    nothing,
    read_findings,
)
from budgetmem.modules.lines import Line, lines, sentence_lines, third_person
from budgetmem.schemas import STRING
from budgetmem.text import keywords
from budgetmem.types import Chunk, Finding, Workspace

_FIELDS = {"subject": STRING, "relation": STRING, "object": STRING}

_NAME = r"[^\W\d_a-z][\w'’.\-]*(?:\s+(?:(?:of|de|the|van|von)\s+)?[^\W\d_a-z][\w'’\-]*){0,4}"
_AUXILIARY = (
    r"(?:(?:am|is|are|was|were|be|been|has|have|had|do|does|did|will|would|can|could|may|might|"
    r"should|must|used to|wants? to|going to|trying to)(?:n['’]t)?|not|just|really|also|never|"
    r"always|finally|recently|still|even|actually|already|often|usually)"
)
_NO_VERB = r"(?:an?|the|and|or|but|my|so|very|in|on|at|to|with|for|of|from|too)"
_COPULA = r"(?:is|was|are|were|has|had|will|can|could|loves?|likes?|lives?|works?|became|owns?)"
_CLAUSE = re.compile(
    rf"(?P<relation>(?:{_AUXILIARY}\s+)*(?!{_NO_VERB}\b)[^\W\d_]+(?:['’]\w+)?)\s+(?P<object>[^,;.!?()\n]{{2,100}})"
)
_THING = re.compile(
    rf"^(?:The\s+)?(?P<subject>{_NAME}(?:['’]s?\s+\w+(?:\s\w+)?)?)(?:\s*\([^)]*\))?\s+(?={_COPULA}\b)"
)
_UNRESOLVED = frozenset(
    {"he", "she", "it", "they", "this", "that", "these", "those", "there"}
    | {"who", "which", "what", "one"}
)
_PERSONS = {"i": "me", "me": "me", "myself": "me", "we": "me", "us": "me", "you": "you"}


class Entity:
    """Extracts relations between people and things."""

    name = "entity"
    about = "Extracts the people and things the question is about, and how they are related."
    schema: Mapping[str, Any] = list_schema("relations", _FIELDS)

    @property
    def local(self) -> Mapping[str, LocalRung]:
        return {"rules": by_patterns, "specialist": by_tagger, "as_found": nothing}

    def reads(self, work: Workspace) -> tuple[Chunk, ...]:
        return work.kept

    def render(self, work: Workspace) -> Mapping[str, str]:
        return {}

    def parse(self, reply: str, work: Workspace) -> tuple[Finding, ...]:
        return read_findings(reply, "relations", tuple(_FIELDS), work, _from_reply)


async def by_patterns(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """Statements about speakers and capitalised names that share a word with the query."""
    wanted = set(keywords(work.query))
    relevant = [
        finding
        for line in sentence_lines(lines(work.kept))
        for finding in _statements(line)
        if wanted & set(keywords(finding.text))
    ]
    return by_coverage(relevant, work)


async def by_tagger(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """The parser's clauses with pronouns resolved, those nearest to the query first."""
    turns = lines(work.kept)
    annotations = await tools.annotate([turn.text for turn in turns])
    found = [
        finding
        for turn, annotation in zip(turns, annotations, strict=True)
        for relation in annotation.relations
        if (finding := _from_relation(relation, turn)) is not None
    ]
    return await by_similarity(found, work, tools)


def _statements(line: Line) -> Iterator[Finding]:
    """Subject, relation and object of the sentence's clauses, as far as patterns can tell."""
    if line.text.startswith("[") and line.speaker:
        yield _statement(line.speaker, "shares", line.text.strip("[]").partition(" ")[2], line)
        return
    if line.text.endswith("?"):
        return
    reported = line.reported
    for name in filter(None, (line.speaker, line.other)):
        subject = rf"(?<![\w’'])(?P<subject>{re.escape(name)}(?:'s \w+(?: \w+)??)?)\s+"
        for match in re.finditer(subject + _CLAUSE.pattern, reported):
            yield _statement(match["subject"], match["relation"], match["object"], line)
    thing = _THING.match(reported)
    clause = _CLAUSE.match(reported, thing.end()) if thing else None
    if thing and clause and thing["subject"].lower() not in _UNRESOLVED:
        yield _statement(thing["subject"], clause["relation"], clause["object"], line)


def _from_relation(relation: Relation, line: Line) -> Finding | None:
    subject, object_ = _named(relation.subject, line), _named(relation.object, line)
    if not (subject and relation.verb and object_) or subject.lower() in _UNRESOLVED:
        return None
    return _statement(subject, relation.verb, object_, line)


def _named(phrase: str, line: Line) -> str:
    """A noun phrase with its pronouns replaced by names; empty if that cannot be done."""
    names = {"me": line.speaker, "you": line.other}
    person = _PERSONS.get(phrase.lower().strip())
    if person:
        return names[person]
    return third_person(phrase.strip(), line.speaker, line.other)


def _statement(subject: str, relation: str, object_: str, line: Line) -> Finding:
    fields = {"subject": subject, "relation": relation, "object": object_.strip()}
    text = annotate(" ".join(fields.values()), line.time)
    return Finding("entity", text, line.chunk_ids, fields)


def _from_reply(values: Mapping[str, str], chunk: Chunk) -> Finding:
    text = annotate(" ".join(values.values()), chunk.time)
    return Finding("entity", text, (chunk.id,), dict(values))
