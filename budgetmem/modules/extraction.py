"""What Entity, Temporal and Topic share: the form of their replies and the ranking of findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from budgetmem.errors import ReplyError
from budgetmem.modules.base import Tools
from budgetmem.modules.ranking import best, coverage, similarity
from budgetmem.replies import read_list, read_number, read_text
from budgetmem.types import Chunk, Finding, Workspace

LIMIT = 8
"""Findings that a local rung returns at most."""

MAX_ITEMS = 5
"""Findings that an LLM may return, as the prompts say; the output limit holds about as many."""

MAX_CHARACTERS = 160
"""Of a field of a finding. A model may go on to the reply's limit, and one finding must not take
the place of all that was said."""

Describe = Callable[[Mapping[str, str], Chunk], Finding]


async def nothing(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """No findings, for a memory that is to hold the chunks as they were found."""
    return ()


def list_schema(key: str, fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`{key: [{field: ..., "memory": number}, ...]}`, of the schema of each field."""
    item = {
        "type": "object",
        "properties": {**fields, "memory": {"type": "integer", "minimum": 1}},
        "required": [*fields, "memory"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {key: {"type": "array", "items": item, "maxItems": MAX_ITEMS}},
        "required": [key],
        "additionalProperties": False,
    }


def read_findings(
    reply: str,
    key: str,
    fields: Sequence[str],
    work: Workspace,
    describe: Describe,
    *,
    may_be_empty: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """Findings from a reply of the form of `list_schema`.

    Items that lack a field, or whose memory number does not exist, are dropped, and long fields are
    cut. Raises ReplyError if there is no list, or if it holds items and none is usable.
    """
    items = read_list(reply, key)
    found = []
    for item in items:
        values = {field: _cut(read_text(item, field)) for field in fields}
        number = item.get("memory") if isinstance(item, Mapping) else None
        index = read_number(number, len(work.kept))
        given = all(values[field] or field in may_be_empty for field in fields)
        if given and index is not None:
            found.append(describe(values, work.kept[index]))
    if items and not found:
        wanted = ", ".join([*fields, f"memory of 1 to {len(work.kept)}"])
        raise ReplyError(f"none of the {len(items)} items of {key!r} has {wanted}")
    return distinct(found)[:MAX_ITEMS]


def _cut(text: str) -> str:
    """The text up to MAX_CHARACTERS, at the end of a word if there is one."""
    if len(text) <= MAX_CHARACTERS:
        return text
    kept = text[: MAX_CHARACTERS + 1].rpartition(" ")[0] or text[:MAX_CHARACTERS]
    return f"{kept} …"


def distinct(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings without those that repeat an earlier text."""
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.text.casefold(), finding)
    return tuple(first.values())


def by_coverage(findings: Iterable[Finding], work: Workspace) -> tuple[Finding, ...]:
    """The LIMIT findings with most of the query's keywords, scored, best first."""
    unique = distinct(findings)
    scores = coverage(work.query, [finding.text for finding in unique])
    return tuple(replace(unique[i], score=float(scores[i])) for i in best(scores, LIMIT))


async def by_similarity(
    findings: Iterable[Finding], work: Workspace, tools: Tools
) -> tuple[Finding, ...]:
    """The LIMIT findings nearest to the query by the encoder, scored, best first."""
    unique = distinct(findings)
    if not unique:
        return ()
    scores, _ = await similarity(tools, work.query, [finding.text for finding in unique])
    return tuple(replace(unique[i], score=float(scores[i])) for i in best(scores, LIMIT))
