"""Finds temporal expressions in a turn and resolves them against the date it was said.

The patterns are in `budgetmem.date_rules`, the arithmetic is in `budgetmem.periods`. Vague
("the other day"), recurring ("on Fridays"), anaphoric ("the next day") and durational ("for two
weeks") expressions are left alone. English only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

from budgetmem.date_rules import HINT, RULES, Context, Rule
from budgetmem.periods import Period

_FUTURE = re.compile(
    r"'ll\b|\b(?:will|going to|gonna|plan|plans|planning|hope|hoping|see you|let's|about to|"
    r"can't wait|looking forward|coming up|should|want to)\b",
    re.IGNORECASE,
)
_REACH = 200
"""Characters on either side within which a sentence's tense is read."""

_PAST = re.compile(
    r"\b(?:was|were|been|had|did|went|got|took|made|saw|came|met|began|bought|brought|built|felt|"
    r"found|gave|held|heard|left|lost|ran|said|sang|sold|spent|spoke|swam|taught|thought|told|won|"
    r"wore|wrote|\w{2,}ed)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TimeExpression:
    """A resolved expression. `span` are character offsets into the text it was found in.

    `value_iso` and `granularity` are those of `budgetmem.periods.Period`; `human` is the same in
    prose, such as `the week before 9 June 2023`. `relative` tells whether the anchor was needed.
    """

    span: tuple[int, int]
    text: str
    value_iso: str
    granularity: str
    human: str
    relative: bool


def resolve(text: str, anchor: datetime | None) -> tuple[TimeExpression, ...]:
    """The temporal expressions of `text`, in order and without overlaps, resolved.

    Without an anchor only absolute expressions ("in 2019", "8 May 2023") are found.
    """
    if not HINT.search(text):
        return ()
    found: list[TimeExpression] = []
    taken = bytearray(len(text))
    for rule in RULES:
        if rule.relative and anchor is None:
            continue
        for match in rule.pattern.finditer(text):
            span = match.span(rule.group)
            if any(taken[slice(*span)]):
                continue
            context = Context(anchor.date() if anchor else date.min, _tense(text, span))
            period = _resolved(rule, match, context)
            if period is not None:
                taken[slice(*span)] = b"\1" * (span[1] - span[0])
                found.append(_expression(text, span, period, rule.relative))
    return tuple(sorted(found, key=lambda e: e.span))


def annotate(text: str, anchor: datetime | None) -> str:
    """`text` with the resolved date in brackets after every relative expression.

    "I went yesterday" said on 8 May 2023 becomes "I went yesterday [7 May 2023]".
    """
    pieces, end = [], 0
    for expression in resolve(text, anchor):
        if expression.relative:
            pieces.append(f"{text[end : expression.span[1]]} [{expression.human}]")
            end = expression.span[1]
    return "".join([*pieces, text[end:]])


def _resolved(rule: Rule, match: re.Match[str], context: Context) -> Period | None:
    try:
        return rule.resolver(match, context)
    except (ValueError, OverflowError):
        # "900 years ago" in year 1: the calendar has no such date, so the words are left alone.
        return None
    except KeyError:
        # "laſt week": where case is ignored ſ is an s, but no table has it.
        return None


def _expression(text: str, span: tuple[int, int], period: Period, relative: bool) -> TimeExpression:
    return TimeExpression(
        span, text[slice(*span)], period.value_iso, period.granularity, period.human, relative
    )


def _tense(text: str, span: tuple[int, int]) -> int:
    """What the sentence around `span` suggests: +1 future, -1 past, 0 nothing."""
    low, high = max(0, span[0] - _REACH), span[1] + _REACH
    start = max(low, *(text.rfind(mark, low, span[0]) + 1 for mark in ".!?\n"))
    ends = [at for mark in ".!?\n" if (at := text.find(mark, span[1], high)) >= 0]
    sentence = text[start : min(ends, default=high)].replace("’", "'")
    if _FUTURE.search(sentence):
        return 1
    if _PAST.search(sentence):
        return -1
    # "done by June" looks ahead without a verb that says so.
    return 1 if text[max(0, span[0] - 3) : span[0]].lower() == "by " else 0
