# ruff: noqa: E501 (a table reads best one case a line)
from __future__ import annotations

import itertools
import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.dates import annotate, resolve

# A Friday.
SAID = datetime(2023, 6, 9, 13, 56)

# What is said on Friday, 9 June 2023 | the expression | its ISO value | granularity | prose
RESOLVED = """
I saw her yesterday | yesterday | 2023-06-08 | day | 8 June 2023
We met yesterday morning. | yesterday morning | 2023-06-08 | day | 8 June 2023
I'm off today | today | 2023-06-09 | day | 9 June 2023
There is a gig tonight! | tonight | 2023-06-09 | day | 9 June 2023
I ran this morning | this morning | 2023-06-09 | day | 9 June 2023
We danced last night | last night | 2023-06-08 | day | 8 June 2023
Tomorrow I fly home | Tomorrow | 2023-06-10 | day | 10 June 2023
It broke the day before yesterday | the day before yesterday | 2023-06-07 | day | 7 June 2023
I'll call the day after tomorrow | the day after tomorrow | 2023-06-11 | day | 11 June 2023
I moved 3 days ago | 3 days ago | 2023-06-06 | day | 6 June 2023
I moved two days ago | two days ago | 2023-06-07 | day | 7 June 2023
I moved ten days back | ten days back | 2023-05-30 | day | 30 May 2023
He left a couple of days ago | a couple of days ago | 2023-06-07~ | day | a couple of days before 9 June 2023
He left a few days ago | a few days ago | 2023-06-06~ | day | a few days before 9 June 2023
A week ago I quit | A week ago | 2023-06-02/2023-06-08 | week | the week before 9 June 2023
I quit last week | last week | 2023-06-02/2023-06-08 | week | the week before 9 June 2023
Last week's class was fun | Last week | 2023-06-02/2023-06-08 | week | the week before 9 June 2023
I quit two weeks ago | two weeks ago | 2023-05-26/2023-06-01 | week | two weeks before 9 June 2023
It was the week before last | the week before last | 2023-05-26/2023-06-01 | week | two weeks before 9 June 2023
I quit a few weeks ago | a few weeks ago | 2023-05-19~ | week | a few weeks before 9 June 2023
I'm busy this week | this week | 2023-06-05/2023-06-11 | week | the week of 9 June 2023
A boat that floats by March | March | 2024-03 | month | March 2024
It was done by March | March | 2023-03 | month | March 2023
The race is next week | next week | 2023-06-10/2023-06-16 | week | the week after 9 June 2023
We camped last weekend | last weekend | 2023-06-03/2023-06-04 | weekend | the weekend before 9 June 2023
We camped this past weekend | this past weekend | 2023-06-03/2023-06-04 | weekend | the weekend before 9 June 2023
We camped over the weekend | the weekend | 2023-06-03/2023-06-04 | weekend | the weekend before 9 June 2023
We'll rest over the weekend | the weekend | 2023-06-10/2023-06-11 | weekend | the weekend of 9 June 2023
We camp this weekend | this weekend | 2023-06-10/2023-06-11 | weekend | the weekend of 9 June 2023
See you next weekend | next weekend | 2023-06-17/2023-06-18 | weekend | the weekend after 9 June 2023
It was two weekends ago | two weekends ago | 2023-05-27/2023-05-28 | weekend | two weekends before 9 June 2023
I sang last Sunday | last Sunday | 2023-06-04 | day | the Sunday before 9 June 2023
I sang last Friday | last Friday | 2023-06-02 | day | the Friday before 9 June 2023
I sang last Tues, | last Tues | 2023-06-06 | day | the Tuesday before 9 June 2023
I sang on Monday | Monday | 2023-06-05 | day | the Monday before 9 June 2023
I will sing on Monday | Monday | 2023-06-12 | day | the Monday after 9 June 2023
Next Friday works | Next Friday | 2023-06-16 | day | the Friday after 9 June 2023
I'm free this Saturday | this Saturday | 2023-06-10 | day | the Saturday after 9 June 2023
I was there this Tuesday | this Tuesday | 2023-06-06 | day | the Tuesday before 9 June 2023
I wed last month | last month | 2023-05 | month | May 2023
I wed three months ago | three months ago | 2023-03 | month | March 2023
It's my busiest month, this month | this month | 2023-06 | month | June 2023
The show opens next month | next month | 2023-07 | month | July 2023
We met a few months back | a few months back | 2023-03~ | month | a few months before 9 June 2023
I wed last March | last March | 2023-03 | month | March 2023
I wed last August | last August | 2022-08 | month | August 2022
I wed in January | January | 2023-01 | month | January 2023
I wed in December | December | 2022-12 | month | December 2022
I'll wed in December | December | 2023-12 | month | December 2023
I will retire next May | next May | 2024-05 | month | May 2024
I'm learning to swim this summer | this summer | 2023-22 | season | the summer of 2023
I learned to swim last summer | last summer | 2022-22 | season | the summer of 2022
I skied last winter | last winter | 2022-24 | season | the winter of 2022-2023
We move next fall | next fall | 2023-23 | season | the autumn of 2023
It was in spring 2019 | spring 2019 | 2019-21 | season | the spring of 2019
I graduated last year | last year | 2022 | year | 2022
This year's garden is wild | This year | 2023 | year | 2023
I graduate next year | next year | 2024 | year | 2024
I graduated 3 years ago | 3 years ago | 2020 | year | 2020
I graduated ten years ago | ten years ago | 2013 | year | 2013
I graduated a few years ago | a few years ago | 2020~ | year | a few years before 2023
It was the year before last | the year before last | 2021 | year | 2021
I graduated in 2019 | 2019 | 2019 | year | 2019
I have taught since 2016. | 2016 | 2016 | year | 2016
I was born on 8 May | 8 May | 2023-05-08 | day | 8 May 2023
The exam was on December 5th | December 5th | 2022-12-05 | day | 5 December 2022
The exam will be on December 5th | December 5th | 2023-12-05 | day | 5 December 2023
It began 8 May 2021 | 8 May 2021 | 2021-05-08 | day | 8 May 2021
It began on May 8th, 2021! | May 8th, 2021 | 2021-05-08 | day | 8 May 2021
It began on 2021/05/08 (Sat) | 2021/05/08 | 2021-05-08 | day | 8 May 2021
It began in May 2021 | May 2021 | 2021-05 | month | May 2021
It began on the 3rd of July | 3rd of July | 2022-07-03 | day | 3 July 2022
We leave in two weeks, I can't wait | in two weeks | 2023-06-17/2023-06-23 | week | two weeks after 9 June 2023
A month from now I'm home | A month from now | 2023-07 | month | July 2023
We hosted last Christmas | last Christmas | 2022-12-25 | day | 25 December 2022
What did you do last New Year’s Eve? | last New Year’s Eve | 2022-12-31 | day | 31 December 2022
"""

UNRESOLVED = (
    "May I come in?",
    "March on, friends",
    "we march in may parades",
    "Wait a second",
    "in my Sunday best",
    "I wore my Sunday best on Sunday best day",
    "on Fridays we swim",
    "every Monday I run",
    "the other day I ran",
    "a while ago I ran",
    "years ago I ran",
    "two hours ago I ran",
    "the next day I ran",
    "the week before I ran",
    "the last week of school",
    "over the last two months I ran",
    "last time we spoke",
    "at the last minute",
    "what is next for you?",
    "I waited for two weeks",
    "I built it in two weeks and it was hard",
    "it feels like yesterday",
    "in today's world",
    "we sold 2019 tickets",
    "I came back",
    "He paid it back in full",
    "the fall broke my arm",
    "spring rolls in the sun",
    "room 31 of 45",
    "this sun is lovely",
    "32 May",
    "the 30th of February",
    "Я ходила в школу вчера",
    "昨日、学校に行きました",
    "😀😀",
    "",
)


def _rows() -> list[tuple[str, ...]]:
    return [tuple(cell.strip() for cell in row.split("|")) for row in RESOLVED.strip().splitlines()]


def test_the_table_is_large_enough() -> None:
    assert len(_rows()) + len(UNRESOLVED) >= 60


@pytest.mark.parametrize(("said", "text", "iso", "granularity", "human"), _rows())
def test_resolves(said: str, text: str, iso: str, granularity: str, human: str) -> None:
    (found,) = resolve(said, SAID)
    assert (found.text, found.value_iso, found.granularity, found.human) == (
        text,
        iso,
        granularity,
        human,
    )
    assert said[slice(*found.span)] == text


@pytest.mark.parametrize("said", UNRESOLVED)
def test_leaves_alone(said: str) -> None:
    assert resolve(said, SAID) == ()
    assert annotate(said, SAID) == said


def test_annotates_relative_expressions_only() -> None:
    said = "I ran in 2019, then yesterday, and I'll run next month."
    assert annotate(said, SAID) == (
        "I ran in 2019, then yesterday [8 June 2023], and I'll run next month [July 2023]."
    )


def test_tense_is_read_in_the_sentence_of_the_expression() -> None:
    said = "We will travel. I sang on Monday. I'll sing on Tuesday."
    assert [e.value_iso for e in resolve(said, SAID)] == ["2023-06-05", "2023-06-13"]


@pytest.mark.parametrize(
    "said", ["laſt week", "in auguſt", "thıs week", "on frıday", "laſt ſpring"]
)
def test_letters_that_only_pass_for_ours_where_case_is_ignored_are_left_alone(said: str) -> None:
    assert annotate(f"I moved {said}.", datetime(2023, 5, 8)) == f"I moved {said}."


def test_without_an_anchor_only_absolute_expressions_are_found() -> None:
    assert [e.value_iso for e in resolve("In 2019, last week, on 8 May 2021", None)] == [
        "2019",
        "2021-05-08",
    ]


@pytest.mark.parametrize("day", range(5, 12))
def test_last_weekend_is_over_and_next_weekend_is_ahead(day: int) -> None:
    anchor = datetime(2023, 6, day)
    (last,), (ahead,) = resolve("last weekend", anchor), resolve("next weekend", anchor)
    assert last.value_iso == "2023-06-03/2023-06-04"
    assert ahead.value_iso == "2023-06-17/2023-06-18"


@pytest.mark.parametrize("said", ["900 years ago", "last year", "a week ago", "next week"])
@pytest.mark.parametrize("anchor", [datetime.min, datetime.max])
def test_dates_outside_the_calendar_are_left_alone(said: str, anchor: datetime) -> None:
    for found in resolve(said, anchor):
        assert found.value_iso


@given(st.text(max_size=200), st.datetimes())
def test_any_text_is_safe(text: str, anchor: datetime) -> None:
    spans = [e.span for e in resolve(text, anchor)]
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_time_grows_with_the_text_and_no_faster() -> None:
    # A ratio, since how fast a shared machine is at the moment is nobody's defect.
    turn = "We went to the lake last weekend and I'll go again next month with my 3 kids "
    one, forty = (min(_seconds(turn * copies) for _ in range(20)) for copies in (3, 120))
    assert forty < 3 * 40 * one, f"40 times the text takes {forty / one:.0f} times as long"


def _seconds(turn: str) -> float:
    start = time.perf_counter()
    resolve(turn, SAID)
    return time.perf_counter() - start
