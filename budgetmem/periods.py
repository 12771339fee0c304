"""Calendar periods: a day, a week, a weekend, a month, a season or a year, as ISO and as prose.

Values follow ISO 8601, with two additions of ISO 8601-2 (EDTF): a season is `YYYY-21` (spring) to
`YYYY-24` (winter, by the year it begins in), and a trailing `~` means approximately. Seasons are
those of the northern hemisphere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from dateutil.relativedelta import relativedelta

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SEASON_STARTS = {"spring": 3, "summer": 6, "autumn": 9, "winter": 12}
"""First month of each season."""

_COUNTS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Period:
    """A stretch of the calendar. `granularity` is day, week, weekend, month, season or year."""

    value_iso: str
    granularity: str
    human: str


def prose(when: date) -> str:
    """`8 May 2023`: the same in every locale."""
    return f"{when.day} {MONTHS[when.month - 1]} {when.year}"


def heading(when: date) -> str:
    """The line above what was said in a session of that day."""
    return f"{prose(when)}:"


def day(when: date) -> Period:
    """A single day: `2023-05-08`."""
    return Period(f"{when:%Y-%m-%d}", "day", prose(when))


def month(year: int, number: int) -> Period:
    """A month of a year (1 = January): `2023-05`."""
    return Period(f"{year:04d}-{number:02d}", "month", f"{MONTHS[number - 1]} {year}")


def year(number: int) -> Period:
    """A calendar year: `2023`."""
    return Period(f"{number:04d}", "year", str(number))


def season(number: int, name: str) -> Period:
    """The season of that name that begins in the year `number`."""
    code = 21 + list(SEASON_STARTS).index(name)
    years = f"{number}-{number + 1}" if name == "winter" else str(number)
    return Period(f"{number:04d}-{code}", "season", f"the {name} of {years}")


def weekday(anchor: date, number: int, direction: int) -> Period:
    """The nearest such weekday (0 = Monday) strictly before (-1) or after (+1) the anchor."""
    distance = (direction * (number - anchor.weekday()) - 1) % 7 + 1
    when = anchor + timedelta(days=direction * distance)
    side = "before" if direction < 0 else "after"
    return Period(f"{when:%Y-%m-%d}", "day", f"the {WEEKDAYS[number]} {side} {prose(anchor)}")


def week(anchor: date, offset: int) -> Period:
    """The anchor's own Monday to Sunday (0), or seven days that many weeks before or after it."""
    if offset == 0:
        start = anchor - timedelta(days=anchor.weekday())
    else:
        start = anchor + timedelta(days=7 * offset if offset < 0 else 7 * offset - 6)
    human = _beside(anchor, offset, "week")
    return Period(_range(start, start + timedelta(days=6)), "week", human)


def weekend(anchor: date, offset: int) -> Period:
    """Saturday and Sunday of the anchor's week (0), or of a week before or after it."""
    start = anchor + timedelta(days=5 - anchor.weekday() + 7 * offset)
    return Period(
        _range(start, start + timedelta(days=1)), "weekend", _beside(anchor, offset, "weekend")
    )


def shifted(anchor: date, unit: str, offset: int) -> Period:
    """The period of granularity `unit` that is `offset` units away from the anchor's own."""
    if unit == "week":
        return week(anchor, offset)
    if unit == "weekend":
        return weekend(anchor, offset)
    if unit == "day":
        return day(anchor + timedelta(days=offset))
    if unit == "month":
        moved = anchor + relativedelta(months=offset)
        return month(moved.year, moved.month)
    return year((anchor + relativedelta(years=offset)).year)


def approximately(anchor: date, unit: str, offset: int, count: str) -> Period:
    """Like `shifted`, for a vague count such as `a few`: `a few months before 9 June 2023`."""
    side = "before" if offset < 0 else "after"
    base = str(anchor.year) if unit == "year" else prose(anchor)
    if unit in {"week", "weekend"}:
        near = day(anchor + timedelta(days=7 * offset)).value_iso
    else:
        near = shifted(anchor, unit, offset).value_iso
    return Period(f"{near}~", unit, f"{count} {unit}s {side} {base}")


def _range(start: date, end: date) -> str:
    return f"{start:%Y-%m-%d}/{end:%Y-%m-%d}"


def _beside(anchor: date, offset: int, unit: str) -> str:
    if offset == 0:
        return f"the {unit} of {prose(anchor)}"
    side = "before" if offset < 0 else "after"
    count = abs(offset)
    if count == 1:
        return f"the {unit} {side} {prose(anchor)}"
    spelled = _COUNTS[count] if count < len(_COUNTS) else str(count)
    return f"{spelled} {unit}s {side} {prose(anchor)}"
