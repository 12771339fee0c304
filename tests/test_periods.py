from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem import periods

FRIDAY = date(2023, 6, 9)


def test_prose_ignores_the_locale_and_does_not_pad() -> None:
    assert periods.prose(FRIDAY) == "9 June 2023"


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 6), st.sampled_from([-1, 1]))
def test_a_weekday_is_within_a_week_of_the_anchor_and_never_on_it(
    anchor: date, number: int, direction: int
) -> None:
    found = date.fromisoformat(periods.weekday(anchor, number, direction).value_iso)
    assert found.weekday() == number
    assert 1 <= (found - anchor).days * direction <= 7


def test_weeks_before_and_after_touch_the_anchor_without_holding_it() -> None:
    assert periods.week(FRIDAY, -1).value_iso == "2023-06-02/2023-06-08"
    assert periods.week(FRIDAY, 1).value_iso == "2023-06-10/2023-06-16"
    assert periods.week(FRIDAY, 0).value_iso == "2023-06-05/2023-06-11"


@pytest.mark.parametrize(
    ("unit", "offset", "iso"),
    [
        ("day", -9, "2023-05-31"),
        ("month", -6, "2022-12"),
        ("month", 7, "2024-01"),
        ("year", 2, "2025"),
        ("weekend", -2, "2023-05-27/2023-05-28"),
    ],
)
def test_shifts(unit: str, offset: int, iso: str) -> None:
    assert periods.shifted(FRIDAY, unit, offset).value_iso == iso


def test_a_month_before_the_31st_exists() -> None:
    assert periods.shifted(date(2023, 3, 31), "month", -1).value_iso == "2023-02"


def test_a_winter_spans_two_years() -> None:
    assert periods.season(2022, "winter").human == "the winter of 2022-2023"


def test_vague_counts_are_marked_approximate() -> None:
    few = periods.approximately(FRIDAY, "year", -3, "a few")
    assert (few.value_iso, few.human) == ("2020~", "a few years before 2023")
