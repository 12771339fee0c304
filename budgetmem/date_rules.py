"""The table of `budgetmem.dates`: patterns of temporal expressions, and how each is resolved."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from budgetmem import periods
from budgetmem.periods import MONTHS, SEASON_STARTS, WEEKDAYS, Period


@dataclass(frozen=True)
class Context:
    """The day of speaking, and what the tense of the sentence suggests: -1 past, +1 future."""

    anchor: date
    tense: int

    def direction(self, default: int) -> int:
        return self.tense or default


_Resolver = Callable[[re.Match[str], Context], Period | None]

_MONTH_NUMBERS = {name.lower(): i for i, name in enumerate(MONTHS, 1)}
_MONTH_NUMBERS |= {name[:3].lower(): i for i, name in enumerate(MONTHS, 1)} | {"sept": 9}
_WEEKDAY_NUMBERS = {name.lower(): i for i, name in enumerate(WEEKDAYS)}
_WEEKDAY_NUMBERS |= {name[:3].lower(): i for i, name in enumerate(WEEKDAYS)}
_WEEKDAY_NUMBERS |= {"tues": 1, "thurs": 3}
_FULL_WEEKDAYS = {name.lower(): i for i, name in enumerate(WEEKDAYS)}
_FULL_MONTHS = {name.lower(): i for i, name in enumerate(MONTHS, 1)}
_AMBIGUOUS_MONTHS = {"may", "march", "mar", "jan", "sep", "dec"}
_SEASONS = {name: name for name in SEASON_STARTS} | {"fall": "autumn"}
_HOLIDAYS = {
    "christmas eve": (12, 24),
    "christmas": (12, 25),
    "halloween": (10, 31),
    "valentine's day": (2, 14),
    "new year's eve": (12, 31),
    "new year's day": (1, 1),
}
_DAY_OFFSETS = {
    "today": 0, "tonight": 0, "this morning": 0, "this afternoon": 0, "this evening": 0,
    "yesterday": -1, "last night": -1, "tomorrow": 1,
    "the day before yesterday": -2, "the day after tomorrow": 2,
}  # fmt: skip
_COUNTS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
_VAGUE_COUNTS = {"a couple of": 2, "a couple": 2, "a few": 3, "several": 3}
_SIDES = {"last": -1, "past": -1, "previous": -1, "this": 0, "next": 1, "coming": 1, "upcoming": 1}


def _words(*tables: dict[str, int] | dict[str, str] | dict[str, tuple[int, int]]) -> str:
    names = {re.escape(name) for table in tables for name in table}
    return "|".join(sorted(names, key=lambda name: (-len(name), name)))


_MONTH = rf"(?P<month>{_words(_MONTH_NUMBERS)})\b\.?"
_YEAR = r"(?P<year>(?:1[5-9]|20)\d\d)\b"
_COUNT = rf"(?P<count>{_words(_COUNTS, _VAGUE_COUNTS)}|\d{{1,3}})"
_UNIT_WORD = "(?:day|weekend|week|month|year)"
_UNIT = rf"(?P<unit>{_UNIT_WORD})"
_SEASON = rf"(?P<season>{_words(_SEASONS)})"
_DAY = r"\b(?P<day>\d{1,2})(?:st|nd|rd|th)?\b"


def _day_of_month(match: re.Match[str], context: Context) -> Period | None:
    number, named = _MONTH_NUMBERS[match["month"].lower()], match.groupdict().get("year")
    if named is None and not match["month"][0].isupper():
        return None
    years = [int(named)] if named else [context.anchor.year + step for step in (-1, 0, 1)]
    candidates = [when for y in years if (when := _date(y, number, int(match["day"])))]
    return periods.day(_nearest(candidates, context)) if candidates else None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _nearest(candidates: list[date], context: Context) -> date:
    """The candidate nearest to the anchor on the side that the tense suggests, if it has one."""
    fitting = [c for c in candidates if (c - context.anchor).days * context.tense >= 0]
    return min(fitting or candidates, key=lambda c: abs((c - context.anchor).days))


def _iso_day(match: re.Match[str], _: Context) -> Period | None:
    when = _date(int(match["year"]), int(match["month"]), int(match["day"]))
    return periods.day(when) if when else None


def _month_of_year(match: re.Match[str], _: Context) -> Period | None:
    return periods.month(int(match["year"]), _MONTH_NUMBERS[match["month"].lower()])


def _season_of_year(match: re.Match[str], _: Context) -> Period | None:
    return periods.season(int(match["year"]), _SEASONS[match["season"].lower()])


def _plain_year(match: re.Match[str], _: Context) -> Period | None:
    return periods.year(int(match["year"]))


def _near_day(match: re.Match[str], context: Context) -> Period | None:
    offset = _DAY_OFFSETS[" ".join(match["phrase"].lower().split())]
    return periods.shifted(context.anchor, "day", offset)


def _before_last(match: re.Match[str], context: Context) -> Period | None:
    offset = -2 if match["last"].lower() == "before last" else 2
    return periods.shifted(context.anchor, match["unit"].lower(), offset)


def _counted(match: re.Match[str], context: Context) -> Period | None:
    side = -1 if match["side"].lower() in {"ago", "back"} else 1
    return _steps(match["count"], match["unit"], side, context.anchor)


def _in_a_while(match: re.Match[str], context: Context) -> Period | None:
    """`in two weeks` is a date only where the sentence looks ahead; else it is a duration."""
    return _steps(match["count"], match["unit"], 1, context.anchor) if context.tense > 0 else None


def _steps(count: str, unit: str, side: int, anchor: date) -> Period:
    spelled, unit = " ".join(count.lower().split()), unit.lower()
    if spelled in _VAGUE_COUNTS:
        return periods.approximately(anchor, unit, side * _VAGUE_COUNTS[spelled], spelled)
    steps = _COUNTS[spelled] if spelled in _COUNTS else int(spelled)
    return periods.shifted(anchor, unit, side * steps)


def _beside_unit(match: re.Match[str], context: Context) -> Period | None:
    unit, side = match["unit"].lower(), _SIDES[match["side"].lower()]
    if unit == "weekend" and side == 0 and context.tense < 0 and context.anchor.weekday() < 5:
        side = -1
    return periods.shifted(context.anchor, unit, side)


def _over_weekend(_: re.Match[str], context: Context) -> Period | None:
    return periods.weekend(context.anchor, -1 if context.direction(-1) < 0 else 0)


def _side(match: re.Match[str]) -> int | None:
    side = match.groupdict().get("side")
    return None if side is None else _SIDES[side.lower()]


def _beside_weekday(match: re.Match[str], context: Context) -> Period | None:
    side, name = _side(match), match["weekday"].lower()
    if side == 0 and name not in _FULL_WEEKDAYS:
        return None  # "this sun" is the star
    direction = side or context.direction(-1 if side is None else 1)
    return periods.weekday(context.anchor, _WEEKDAY_NUMBERS[name], direction)


def _beside_month(match: re.Match[str], context: Context) -> Period | None:
    name, side, anchor = match["month"], _side(match), context.anchor
    if not name[0].isupper() and name.lower() in _AMBIGUOUS_MONTHS:
        return None
    number = _MONTH_NUMBERS[name.lower()]
    if side == 0:
        return periods.month(anchor.year, number)
    direction = side or context.direction(-1)
    here = anchor.year * 12 + anchor.month
    months = [(anchor.year + step) * 12 + number for step in (-1, 0, 1)]
    fitting = [m for m in months if (m - here) * direction > 0 or (side is None and m == here)]
    nearest = min(fitting, key=lambda m: abs(m - here))
    return periods.month((nearest - 1) // 12, number)


def _beside_season(match: re.Match[str], context: Context) -> Period | None:
    name, side = _SEASONS[match["season"].lower()], _SIDES[match["side"].lower()]
    anchor, first = context.anchor, SEASON_STARTS[_SEASONS[match["season"].lower()]]
    starts = [date(anchor.year + step, first, 1) for step in (-2, -1, 0, 1)]
    length = timedelta(days=90)
    if side < 0:
        return periods.season(max(s for s in starts if s + length <= anchor).year, name)
    if side > 0:
        return periods.season(min(s for s in starts if s > anchor).year, name)
    running = [s for s in starts if s <= anchor < s + length]
    return periods.season((running or [starts[2]])[0].year, name)


def _beside_holiday(match: re.Match[str], context: Context) -> Period | None:
    side = _SIDES[match["side"].lower()]
    holiday = _HOLIDAYS[match["holiday"].lower().replace("’", "'")]
    days = [date(context.anchor.year + step, *holiday) for step in (-1, 0, 1)]
    if side == 0:
        return periods.day(days[1])
    beyond = [d for d in days if (d - context.anchor).days * side > 0]
    return periods.day(min(beyond, key=lambda d: abs((d - context.anchor).days)))


@dataclass(frozen=True)
class Rule:
    """`group` of a match of `pattern` is the expression; `relative` ones need an anchor."""

    pattern: re.Pattern[str]
    resolver: _Resolver
    group: str | int = 0
    relative: bool = True


def _rule(pattern: str, resolver: _Resolver, group: str | int = 0, relative: bool = True) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), resolver, group, relative)


_SIDE = r"\b(?:this )?(?P<side>last|past|previous|this|next|coming|upcoming)\s+"
_NOT_QUANTITY = r"(?!\s*(?:%|people|dollars|miles|km|steps|words|followers))(?![.,]\d)"
_PREPOSITION = (
    r"\b(?:in|since|from|until|till|by|of|around|during|before|after|early|late|mid)[\s-]+"
)
_NOT_ORDINAL = r"(?<!\dst )(?<!\dnd )(?<!\drd )(?<!\dth )"
_APOSTROPHE = "['\u2019]"

RULES = (
    _rule(r"\b(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)\b", _iso_day, relative=False),
    _rule(rf"{_DAY}(?: of)?\s+{_MONTH},?\s*{_YEAR}", _day_of_month, relative=False),
    _rule(rf"\b{_MONTH}\s+{_DAY},?\s+{_YEAR}", _day_of_month, relative=False),
    _rule(rf"{_DAY}(?: of)?\s+{_MONTH}", _day_of_month),
    _rule(rf"\b{_MONTH}\s+{_DAY}(?![:.]\d)", _day_of_month),
    _rule(rf"\b{_MONTH},?\s+(?:of\s+)?{_YEAR}", _month_of_year, relative=False),
    _rule(rf"\b{_SEASON}\s+(?:of\s+)?{_YEAR}", _season_of_year, relative=False),
    _rule(rf"{_PREPOSITION}{_YEAR}{_NOT_QUANTITY}", _plain_year, "year", relative=False),
    _rule(
        rf"(?<!like )(?<!like just )(?<!like it was )\b(?P<phrase>{_words(_DAY_OFFSETS)})\b"
        rf"(?:\s+(?:morning|afternoon|evening|night))?(?!{_APOSTROPHE}s (?:world|society|age))",
        _near_day,
    ),
    _rule(rf"\bthe {_UNIT} (?P<last>before last|after next)\b", _before_last),
    _rule(rf"\b{_COUNT}\s+{_UNIT}s?\s+(?P<side>ago|from now)\b", _counted),
    _rule(rf"\b(?!(?:an?|one)\s+{_UNIT_WORD}){_COUNT}\s+{_UNIT}s\s+(?P<side>back)\b", _counted),
    _rule(rf"\bin (?:about )?{_COUNT}\s+{_UNIT}s?\b(?!{_APOSTROPHE})", _in_a_while),
    _rule(rf"{_SIDE}(?P<unit>weekend)\b", _beside_unit),
    _rule(rf"(?<!\bthe ){_SIDE}(?P<unit>week|month|year)\b(?!\s+of\b)", _beside_unit),
    _rule(rf"{_SIDE}(?P<weekday>{_words(_WEEKDAY_NUMBERS)})\b", _beside_weekday),
    _rule(rf"{_SIDE}{_MONTH}(?!\s+\d)", _beside_month),
    _rule(rf"{_SIDE}{_SEASON}\b", _beside_season),
    _rule(
        rf"{_SIDE}(?P<holiday>{_words(_HOLIDAYS).replace(chr(39), _APOSTROPHE)})", _beside_holiday
    ),
    _rule(r"\b(?:over|during) (?P<weekend>the weekend)\b", _over_weekend, "weekend"),
    _rule(
        rf"\b(?:on|since|until|till|by) (?P<weekday>{_words(_FULL_WEEKDAYS)})\b"
        r"(?!\s+(?:mornings|afternoons|evenings|nights|best))",
        _beside_weekday,
        "weekday",
    ),
    _rule(
        rf"{_NOT_ORDINAL}{_PREPOSITION}(?P<month>{_words(_FULL_MONTHS)})\b(?!\s+\d)",
        _beside_month,
        "month",
    ),
)
"""In order of precedence: a rule does not match inside what an earlier rule has taken."""

HINT = re.compile(
    r"\d|\b(?:days?|weeks?|weekends?|months?|years?|"
    rf"{_words(_DAY_OFFSETS, _SIDES, _MONTH_NUMBERS, _WEEKDAY_NUMBERS, _SEASONS)})\b",
    re.IGNORECASE,
)
"""A text without a match of this holds no temporal expression."""
