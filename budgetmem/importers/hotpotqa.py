"""HotpotQA: one history a question, one turn a document; the title is speaker and session.

Three forms of a record: the distractor files (`context` as pairs of title and sentences, or as
an object of `title` and `sentences`), `docs` with `title` and `text`, and one long `context` text
whose documents begin with `Document N:` at the beginning of a line.
"""

from __future__ import annotations

import re
from pathlib import Path

from budgetmem.errors import InvalidInput
from budgetmem.importers.base import Record, expect, get, json_records, named, pick
from budgetmem.types import Turn

Document = tuple[str, str]
"""Title and text."""

_HEADING = re.compile(r"(?m)^Document \d+:")


def read(path: Path, select: str | None = None) -> dict[str, list[Turn]]:
    """Histories are named by `id` or `_id`, else by `index`; turns `d0`, `d1`, ..."""
    found = (
        (where, name_of(record, number), history(record, where))
        for number, (where, record) in enumerate(json_records(path))
    )
    return pick(named(found), select, path)


def name_of(record: Record, number: int) -> str:
    """What the record calls itself, else its number in the file."""
    return str(record.get("id", record.get("_id", record.get("index", number))))


def history(record: Record, where: str) -> list[Turn]:
    """The turns of one record: turn `dN` is its document N, from 0; empty ones are left out."""
    return [
        Turn(id=f"d{i}", speaker=title, text=text, session=title)
        for i, (title, text) in enumerate(documents(record, where))
        if text
    ]


def documents(record: Record, where: str) -> list[Document]:
    """The documents of one record, in the order of the file."""
    if "docs" in record:
        return [
            _titled(get(doc, "title", str, place), get(doc, "text", str, place))
            for i, raw in enumerate(get(record, "docs", list, where))
            for place in [f"{where}.docs[{i}]"]
            for doc in [expect(raw, dict, place)]
        ]
    context = record.get("context")
    if isinstance(context, str):
        found = split_documents(context)
        if not found:
            raise InvalidInput(f"{where}.context", "no `Document N:` heading in it")
        return found
    if isinstance(context, dict):
        titles = get(context, "title", list, f"{where}.context")
        sentences = get(context, "sentences", list, f"{where}.context")
        if len(titles) != len(sentences):
            raise InvalidInput(
                f"{where}.context", f"{len(titles)} titles, but {len(sentences)} lists of sentences"
            )
        pairs: list[object] = [list(pair) for pair in zip(titles, sentences, strict=True)]
    else:
        pairs = get(record, "context", list, where)
    return [_from_sentences(pair, f"{where}.context[{i}]") for i, pair in enumerate(pairs)]


def split_documents(context: str) -> list[Document]:
    """The documents of a text with `Document N:` headings; what precedes the first is dropped.

    A document's first line is its title; one of a single line is called by its heading.
    """
    headings = list(_HEADING.finditer(context))
    ends = [match.start() for match in headings[1:]] + [len(context)]
    found = []
    for match, end in zip(headings, ends, strict=False):
        first, _, rest = context[match.end() : end].strip().partition("\n")
        text = rest.strip()
        found.append((first.strip(), text) if text else (match[0].rstrip(":"), first.strip()))
    return found


def _from_sentences(raw: object, where: str) -> Document:
    pair = expect(raw, list, where)
    if len(pair) != 2:
        raise InvalidInput(where, f"must be a title and its sentences, not {len(pair)} values")
    sentences = [
        expect(sentence, str, f"{where}[1][{i}]")
        for i, sentence in enumerate(expect(pair[1], list, f"{where}[1]"))
    ]
    return expect(pair[0], str, f"{where}[0]"), "".join(sentences).strip()


def _titled(title: str, text: str) -> Document:
    """Some files repeat the title as the text's first line."""
    first, _, rest = text.strip().partition("\n")
    return (
        (title, rest.strip()) if first.strip() == title.strip() and rest else (title, text.strip())
    )
