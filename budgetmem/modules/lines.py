"""Chunks as the local rungs read them: who said which sentence, when, in which chunks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from budgetmem.dates import annotate
from budgetmem.forms import parsed
from budgetmem.text import one_line, sentences
from budgetmem.types import Chunk

_SHARED = re.compile(r"\s*\[shares?\s+(?P<shared>[^\[\]]+)\]\s*$")

_FIRST_PERSON = (
    (r"\bI['’]m\b|\bI am\b", "{me} is"),
    (r"\bI['’]ve\b|\bI have\b", "{me} has"),
    (r"\bI['’]ll\b", "{me} will"),
    (r"\bI['’]d\b", "{me} would"),
    (r"\bI do\b(?!n)", "{me} does"),
    (r"\bI don['’]t\b", "{me} doesn't"),
    (r"\b(?:I|me|myself)\b(?![.'’]\w)", "{me}"),
    (r"\b(?:my|mine)\b", "{me}'s"),
)
_SECOND_PERSON = (
    (r"\byou['’]re\b|\byou are\b", "{you} is"),
    (r"\byou['’]ve\b|\byou have\b", "{you} has"),
    (r"\byou['’]ll\b", "{you} will"),
    (r"\bare you\b", "is {you}"),
    (r"\b(?:were you|you were)\b", "{you} was"),
    (r"\b(?:your|yours)\b", "{you}'s"),
    (r"\b(?:you|yourself)\b", "{you}"),
)


@dataclass(frozen=True)
class Line:
    """A turn, or one sentence of it.

    `other` is whom the speaker talks to, known when exactly two people talk. Both names are
    empty in documents. `position` orders the lines of one reading.
    """

    speaker: str
    other: str
    text: str
    time: datetime | None
    chunk_ids: tuple[str, ...]
    position: int

    @property
    def told(self) -> str:
        """`Ada: I ran yesterday [7 May 2023]`: as it was said, with its dates resolved."""
        text = annotate(self.text, self.time)
        return f"{self.speaker}: {text}" if self.speaker else text

    @property
    def reported(self) -> str:
        """`Ada ran yesterday`: the sentence with I and you replaced by names."""
        return third_person(self.text, self.speaker, self.other)


def lines(chunks: Iterable[Chunk]) -> tuple[Line, ...]:
    """The turns of the chunks, one a line, in order.

    Chunks may overlap: a turn that several hold comes once, with the ids of them all.
    """
    found: dict[tuple[datetime | None, str], Line] = {}
    for chunk in chunks:
        for written in filter(None, map(one_line, chunk.text.splitlines())):
            key = (chunk.time, written)
            known = found.get(key)
            ids = (*known.chunk_ids, chunk.id) if known else (chunk.id,)
            speaker, text = parsed(written)
            position = known.position if known else len(found)
            found[key] = Line(speaker, "", text, chunk.time, tuple(dict.fromkeys(ids)), position)
    return _introduced(tuple(found.values()))


def sentence_lines(turns: Iterable[Line]) -> tuple[Line, ...]:
    """The lines' sentences; what a turn shares (an image) is a sentence of its own."""
    pieces = [(turn, piece) for turn in turns for piece in _pieces(turn.text)]
    return tuple(replace(turn, text=text, position=i) for i, (turn, text) in enumerate(pieces))


def third_person(text: str, speaker: str, other: str) -> str:
    """`text` with first-person pronouns replaced by `speaker`, second-person ones by `other`.

    Verbs agree for be, have and do only. An empty name leaves its pronouns alone.
    """
    for name, table, slot in ((speaker, _FIRST_PERSON, "me"), (other, _SECOND_PERSON, "you")):
        for pattern, form in table if name else ():
            named = form.format(**{slot: name}).replace("\\", r"\\")
            text = re.sub(pattern, named, text, flags=re.IGNORECASE)
    return text


def _pieces(text: str) -> tuple[str, ...]:
    shared = _SHARED.search(text)
    said = sentences(text[: shared.start()] if shared else text)
    return (*said, f"[shares {shared['shared']}]") if shared else said


def _introduced(turns: Sequence[Line]) -> tuple[Line, ...]:
    speakers = list(dict.fromkeys(turn.speaker for turn in turns if turn.speaker))
    if len(speakers) != 2:
        return tuple(turns)
    others = {speakers[0]: speakers[1], speakers[1]: speakers[0]}
    return tuple(replace(turn, other=others.get(turn.speaker, "")) for turn in turns)
