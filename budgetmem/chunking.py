"""From turns to units of retrieval: sessions, lines, windows and packs. Pure functions.

No turn is ever cut short: a turn that is longer than a unit becomes several lines that together
hold all of its text. No unit crosses a session.

Lines and units are made when they are asked for: of a message of 16 MiB it takes minutes to make
them all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from budgetmem.backbone import TokenCounter
from budgetmem.config import ChunkingProfile
from budgetmem.errors import ConfigError
from budgetmem.forms import FORMS
from budgetmem.types import Turn


@dataclass(frozen=True)
class Line:
    """A turn as it is read, or a part of one that is too long. `tokens` counts `text` alone."""

    turn_id: str
    text: str
    tokens: int
    time: datetime | None = None


@dataclass(frozen=True)
class Unit:
    """What is embedded, indexed and ranked: the lines [first, first + len(lines)) of a session.

    `focus` is the place in `lines` of the line that a window stands around; None for a pack. `id`
    depends on the content and its place only, so the same turns give the same ids everywhere.
    """

    id: str
    session: str
    first: int
    focus: int | None
    lines: tuple[Line, ...]
    tokens: int

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    @property
    def last(self) -> int:
        """Position in the session of the last line."""
        return self.first + len(self.lines) - 1

    @property
    def time(self) -> datetime | None:
        return next((line.time for line in self.lines if line.time is not None), None)


_CHARACTERS_PER_TOKEN = 16


class BoundedTokens:
    """An encoder's counter that gives no text fewer than one token for 16 characters.

    WordPiece takes a word of more than 100 characters, such as a file in base64, for a single
    unknown token; without a bound, one "token" of such a unit could fill any prompt.
    """

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter

    def count(self, text: str) -> int:
        return max(self._counter.count(text), len(text) // _CHARACTERS_PER_TOKEN)


def session_of(turn: Turn) -> str:
    """The turn's session: its own, else the date of its time, else ""."""
    if turn.session:
        return turn.session
    return turn.time.date().isoformat() if turn.time is not None else ""


def by_session(turns: Iterable[Turn]) -> dict[str, list[Turn]]:
    """Turns grouped by session; sessions and turns keep the order of arrival."""
    sessions: dict[str, list[Turn]] = {}
    for turn in turns:
        sessions.setdefault(session_of(turn), []).append(turn)
    return sessions


def instant(time: datetime) -> datetime:
    """A time that compares with every other: one without a zone is taken as UTC."""
    return time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)


def chunk_id(session: str, first: int, text: str) -> str:
    """Sixteen hex digits of SHA-256 over the session, the place in it and the text."""
    digest = hashlib.sha256(f"{session}\0{first}\0{text}".encode())
    return digest.hexdigest()[:16]


def lines(turn: Turn, max_tokens: int, tokens: TokenCounter, form: str = "line") -> Iterator[Line]:
    """The turn as one line, or as several of at most `max_tokens` each if it is longer.

    Every part names the speaker, unless the name alone takes half the room. Raises ConfigError
    if `max_tokens` has no room for a single character.
    """
    style = FORMS[form]
    head = " ".join(turn.speaker.split()) if style.one_line else turn.speaker
    opening = f"{head}{style.middle}"
    tail = f"{style.closing}{style.caption(turn)}"
    if style.one_line:
        tail = " " + " ".join(tail.split()) if tail else ""
    whole = f"{opening}{style.body(turn)}{tail}"

    def fits(text: str) -> bool:
        # The length is looked at first: counting a book at every cut would take hours.
        short = len(text) < _CHARACTERS_PER_TOKEN * (max_tokens + 1)
        return short and tokens.count(text) <= max_tokens

    texts: Iterable[str]
    if fits(whole):
        texts = [whole]
    elif tokens.count(opening) > max_tokens // 2:
        texts = split(whole, fits)
    else:
        parts = split(whole[len(opening) :], lambda part: fits(opening + part))
        texts = (opening + part for part in parts)
    for text in texts:
        yield Line(turn.id, text, tokens.count(text), turn.time)


def split(text: str, fits: Callable[[str], bool]) -> Iterator[str]:
    """Cuts `text` into parts that fit, at ends of sentences if it can, else between words.

    A word that does not fit by itself is cut between characters. Every character that is not
    white space is in exactly one part, in order. Raises ConfigError if one character does not fit.
    """
    words = text.split()
    while words:
        part, words = _first_part(words, fits)
        yield part


def _first_part(words: list[str], fits: Callable[[str], bool]) -> tuple[str, list[str]]:
    """What comes first, and the words that are left."""
    size = _longest(len(words), lambda n: fits(" ".join(words[:n])))
    if size > 0:
        size = _sentence_end(words, size)
        return " ".join(words[:size]), words[size:]
    word = words[0]
    cut = _longest(len(word), lambda n: fits(word[:n]))
    if cut == 0:
        raise ConfigError(f"chunking.max_tokens: no room for the character {word[0]!r}")
    return word[:cut], [word[cut:], *words[1:]]


_SENTENCE_END = re.compile(r"[.!?。！？…][\"'”’)\]]*$")


def _sentence_end(words: Sequence[str], size: int) -> int:
    """The last end of a sentence in the second half of words[:size], else `size`."""
    if size == len(words):
        return size
    ends = (n for n in range(size, size // 2, -1) if _SENTENCE_END.search(words[n - 1]))
    return next(ends, size)


def _longest(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest n in [0, limit] that fits, by doubling and bisection.

    Token counts are almost, not quite, monotone in length; what is returned always fits.
    """
    low, step = 0, 1
    while low + step <= limit and fits(low + step):
        low, step = low + step, step * 2
    while step > 1:
        step //= 2
        if low + step <= limit and fits(low + step):
            low += step
    return low


def windows(
    session: str, all_lines: Sequence[Line], neighbours: int, max_tokens: int, tokens: TokenCounter
) -> Iterator[Unit]:
    """One unit a line: the line and up to `neighbours` lines on either side that fit with it."""
    for center in range(len(all_lines)):
        first = last = center
        for _ in range(neighbours):
            if first > 0 and _fits(all_lines[first - 1 : last + 1], max_tokens, tokens):
                first -= 1
            if last + 1 < len(all_lines) and _fits(all_lines[first : last + 2], max_tokens, tokens):
                last += 1
        yield _unit(session, first, center - first, all_lines[first : last + 1], tokens)


def pack(
    session: str, all_lines: Sequence[Line], max_tokens: int, tokens: TokenCounter
) -> Iterator[Unit]:
    """Whole lines, each in one unit, as many to a unit as fit (the paper's form)."""
    first = 0
    while first < len(all_lines):
        end = first + 1
        while end < len(all_lines) and _fits(all_lines[first : end + 1], max_tokens, tokens):
            end += 1
        yield _unit(session, first, None, all_lines[first:end], tokens)
        first = end


def units(
    session: str, turns: Iterable[Turn], profile: ChunkingProfile, tokens: TokenCounter
) -> list[Unit]:
    """The units of one session, whose turns are given in order of arrival."""
    return list(units_of(session, list(lines_of(turns, profile, tokens)), profile, tokens))


def lines_of(
    turns: Iterable[Turn], profile: ChunkingProfile, tokens: TokenCounter
) -> Iterator[Line]:
    """The lines of turns, one after the other."""
    for turn in turns:
        yield from lines(turn, profile.max_tokens, tokens, profile.form)


def units_of(
    session: str, all_lines: Sequence[Line], profile: ChunkingProfile, tokens: TokenCounter
) -> Iterator[Unit]:
    """The units that all lines of a session make."""
    if profile.unit == "pack":
        return pack(session, all_lines, profile.max_tokens, tokens)
    return windows(session, all_lines, profile.neighbours, profile.max_tokens, tokens)


def _joined(some: Sequence[Line]) -> str:
    return "\n".join(line.text for line in some)


def _fits(some: Sequence[Line], max_tokens: int, tokens: TokenCounter) -> bool:
    return tokens.count(_joined(some)) <= max_tokens


def _unit(
    session: str, first: int, focus: int | None, some: Sequence[Line], tokens: TokenCounter
) -> Unit:
    text = _joined(some)
    name = chunk_id(session, first, f"{focus}\0{text}")
    return Unit(name, session, first, focus, tuple(some), tokens.count(text))
