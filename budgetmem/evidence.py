"""Which turns a memory was made from, as far as it and its chunks tell.

A chunk is a run of neighbours, of which a memory may quote a single one: whoever deletes by what a
memory rests on needs the turns, and their words to choose by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from budgetmem.forms import parsed
from budgetmem.periods import heading
from budgetmem.types import Chunk, Memory

SAID_BY = 0.5
"""A turn with this share of a line's words may be where the line is from."""


@dataclass(frozen=True)
class Evidence:
    """A turn: its words as the modules read them, and the time of its chunk.

    `quoted`: the memory has words of it; else it was kept beside them, and no more is known.
    Several `turn_ids` are turns that the chunk does not tell apart: `text` is all of them.
    """

    turn_ids: tuple[str, ...]
    speaker: str
    text: str
    time: datetime | None
    quoted: bool = False


def evidence_of(memory: Memory) -> tuple[Evidence, ...]:
    """The turns that the memory quotes, in order, from the chunks that its summary cites.

    Where none is recognised these are all turns of those chunks, where it cites none those of the
    kept chunks, and then none is `quoted`. Of an empty memory there is no evidence.
    """
    if not memory.text.strip():
        return ()
    cited = {id_ for finding in memory.findings.get("summary", ()) for id_ in finding.chunk_ids}
    chunks = [chunk for chunk in memory.chunks if chunk.id in cited]
    turns = [turn for chunk in chunks for turn in _turns(chunk)]
    headings = {heading(chunk.time) for chunk in chunks if chunk.time is not None}
    said = [line for line in memory.text.splitlines() if line not in headings]
    quoted = {place for line in said for place in _sources(line, turns)}
    if quoted:
        return tuple(replace(turns[place], quoted=True) for place in sorted(quoted))
    return tuple(turns or [turn for chunk in memory.chunks for turn in _turns(chunk)])


def _turns(chunk: Chunk) -> Iterator[Evidence]:
    """Its turns one by one if it tells them apart, else all as one.

    A turn is a line at least, and several if it is long: where there are as many turns as lines,
    or as runs of lines of one speaker, each is one.
    """
    lines = chunk.text.split("\n")
    runs = [[line] for line in lines]
    if len(runs) != len(chunk.turn_ids) and _all_named(lines):
        runs = [list(run) for _, run in groupby(lines, key=lambda line: parsed(line)[0])]
    if len(runs) != len(chunk.turn_ids):
        yield Evidence(chunk.turn_ids, "", chunk.text, chunk.time)
        return
    for turn_id, run in zip(chunk.turn_ids, runs, strict=True):
        text = " ".join(parsed(line)[1] for line in run)
        yield Evidence((turn_id,), parsed(run[0])[0], text, chunk.time)


def _all_named(lines: Iterable[str]) -> bool:
    """Whether each line names its speaker, as parts of a turn do in one of the forms only."""
    return all((name := parsed(line)[0]) and line.startswith(f"{name}: ") for line in lines)


def _sources(line: str, turns: Sequence[Evidence]) -> list[int]:
    """The places of the turns that have most of the line's words."""
    wanted = _words(line)
    shared = [len(wanted & _words(f"{turn.speaker} {turn.text}")) for turn in turns]
    most = max(shared, default=0)
    if not most or most < SAID_BY * len(wanted):
        return []
    return [place for place, count in enumerate(shared) if count == most]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))
