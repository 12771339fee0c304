"""A plain transcript: `Name: text` lines, sessions parted by blank lines or by dates.

    2023-05-08 14:00
    Anna: Hello,
    this line still belongs to Anna.
    Ben: Hi!

A line that is a date (ISO 8601, `8 May 2023`, `May 8, 2023`, with or without a time, brackets or
`#`) opens a session at that time. Any other line without a name continues the turn before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from budgetmem.errors import InvalidInput
from budgetmem.importers.base import pick, text_lines
from budgetmem.types import Turn

# A name begins with a letter, so that "10:30" is none, and a space follows the colon, so that
# "https://..." is none.
_SPOKEN = re.compile(r"([^\W\d_][^:\n]{0,63}):(?:\s+(.*)|\s*)")
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d %B %Y", "%d %B, %Y", "%B %d, %Y", "%d %b %Y", "%b %d, %Y")
_TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S", ", %H:%M", " %I:%M %p", ", %I:%M %p")

_LONGEST_DATE = 40


def read(path: Path, select: str | None = None) -> dict[str, list[Turn]]:
    """One history, named after the file; turn ids are `SESSION:N`, sessions `1`, `2`, ..."""
    return pick({path.stem: _turns(path)}, select, path)


@dataclass
class _Session:
    number: int
    time: datetime | None = None
    said: int = 0


def _turns(path: Path) -> list[Turn]:
    turns: list[Turn] = []
    session = _Session(1)
    for number, raw in text_lines(path):
        line = raw.strip()
        time = _header(line)
        if not line or time is not None:
            # A date directly after a blank line, or several blank lines, open one session only.
            if session.said:
                session = _Session(session.number + 1)
            session.time = time or session.time
        elif (spoken := _SPOKEN.fullmatch(line)) is not None:
            turns.append(_turn(session, spoken[1].strip(), spoken[2] or ""))
            session.said += 1
        elif session.said:
            turns[-1] = _continued(turns[-1], line)
        else:
            raise InvalidInput(
                f"{path.name} line {number}",
                f"expected `Name: text` or a date, found {line[:60]!r}",
            )
    return turns


def _turn(session: _Session, speaker: str, text: str) -> Turn:
    name = str(session.number)
    return Turn(f"{name}:{session.said}", speaker, text, session.time, name)


def _continued(turn: Turn, line: str) -> Turn:
    text = f"{turn.text}\n{line}" if turn.text else line
    return Turn(turn.id, turn.speaker, text, turn.time, turn.session)


def _header(line: str) -> datetime | None:
    bare = line.strip("#[]()=-* \t")
    if len(bare) > _LONGEST_DATE or not any(c.isdigit() for c in bare):
        return None
    for day in _DAYS:
        for time in _TIMES:
            try:
                return datetime.strptime(bare, day + time)
            except ValueError:
                continue
    return None
