"""The demonstration data keeps the promises that server/demo/README.md makes about it."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from budgetmem.types import Turn
from server import demo

DEMO = Path(demo.__file__).parent

QUESTION_TYPES = {
    "single-hop": 6,
    "multi-hop": 4,
    "temporal": 6,
    "knowledge-update": 3,
    "open": 1,
}

# What the evidence says, and how many days that lies from the day on which it was said.
RELATIVE_DATES = {
    "q11": ("last Saturday", -3),
    "q12": ("last Friday", -5),
    "q13": ("Ten days ago", -10),
    "q14": ("A fortnight today", 14),
    "q15": ("last Sunday", -5),
    "q16": ("three days ago", -3),
}

# Answers that no turn spells out: q10 is a sum of two prices.
PARAPHRASED = {"q10"}

# The value that an update replaced, and the value that holds at the end of the year.
UPDATES = {
    "q17": ("18.4 kg", "14.6 kg"),
    "q18": ("Corncrake", "the Sandpiper"),
    "q19": ("lapsang", "rooibos"),
}

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
STOP_WORDS = {"a", "an", "and", "of", "the"}


def read_lines(name: str) -> list[dict[str, Any]]:
    lines = (DEMO / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


CONVERSATION = read_lines("conversation.jsonl")
QUESTIONS = read_lines("questions.jsonl")
TURNS = {turn["id"]: turn for turn in CONVERSATION}
BY_ID = {question["id"]: question for question in QUESTIONS}

each_question = pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q["id"])


def evidence_text(question: dict[str, Any]) -> str:
    turns = [TURNS[turn_id] for turn_id in question["evidence"]]
    return "\n".join(f"{turn['text']} {turn.get('caption', '')}" for turn in turns)


def content_words(text: str) -> set[str]:
    return set(re.findall(r"[\w.]*\w", text.lower())) - STOP_WORDS


def test_every_turn_follows_the_schema():
    for number, turn in enumerate(CONVERSATION, start=1):
        assert turn.keys() - {"caption"} == {"id", "session", "speaker", "time", "text"}, number
        assert all(isinstance(value, str) and value.strip() for value in turn.values()), number
        assert re.fullmatch(re.escape(turn["session"]) + r"-t\d{3}", turn["id"]), number


def test_every_line_becomes_a_turn():
    turns = [Turn(**line | {"time": datetime.fromisoformat(line["time"])}) for line in CONVERSATION]
    assert sum(turn.caption is not None for turn in turns) >= 10


def test_turn_ids_are_unique():
    assert len(TURNS) == len(CONVERSATION)


def test_size_is_what_the_readme_says():
    sessions = {turn["session"] for turn in CONVERSATION}
    said = f"{len(CONVERSATION)} turns in {len(sessions)} sessions"
    assert said in (DEMO / "README.md").read_text(encoding="utf-8")
    assert len(sessions) >= 12
    assert len(CONVERSATION) >= 200


def test_two_people_talk_in_every_session():
    speakers: dict[str, set[str]] = {}
    for turn in CONVERSATION:
        speakers.setdefault(turn["session"], set()).add(turn["speaker"])
    assert set(map(frozenset, speakers.values())) == {frozenset({"Maren", "Idris"})}


def test_time_never_goes_back():
    times = [datetime.fromisoformat(turn["time"]) for turn in CONVERSATION]
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert times[-1] - times[0] >= timedelta(days=330)


def test_a_session_is_one_sitting():
    sessions = [turn["session"] for turn in CONVERSATION]
    assert sessions == sorted(sessions)
    days: dict[str, set[str]] = {}
    for turn in CONVERSATION:
        days.setdefault(turn["session"], set()).add(turn["time"][:10])
    assert all(len(dates) == 1 for dates in days.values())


def test_question_ids_are_unique():
    assert len(BY_ID) == len(QUESTIONS)


def test_question_types_are_what_the_readme_says():
    assert Counter(question["type"] for question in QUESTIONS) == QUESTION_TYPES


@each_question
def test_every_question_follows_the_schema(question):
    assert question.keys() == {"id", "question", "answers", "type", "evidence"}
    assert question["question"].endswith("?")
    assert question["answers"]
    assert all(1 <= len(answer.split()) <= 8 for answer in question["answers"])
    assert question["evidence"]
    assert len(set(question["evidence"])) == len(question["evidence"])


@each_question
def test_evidence_exists(question):
    assert set(question["evidence"]) <= TURNS.keys()


@pytest.mark.parametrize(
    "question",
    [q for q in QUESTIONS if q["type"] != "temporal" and q["id"] not in PARAPHRASED],
    ids=lambda q: q["id"],
)
def test_evidence_says_the_answer(question):
    missing = content_words(question["answers"][0]) - content_words(evidence_text(question))
    assert not missing


def test_the_sum_is_the_sum_of_the_prices_in_its_evidence():
    prices = [int(price) for price in re.findall(r"£(\d+)", evidence_text(BY_ID["q10"]))]
    assert BY_ID["q10"]["answers"][0] == f"£{sum(prices)}"


def test_multi_hop_evidence_spans_sessions():
    for question in QUESTIONS:
        if question["type"] == "multi-hop":
            assert len({TURNS[turn_id]["session"] for turn_id in question["evidence"]}) >= 2


def test_every_temporal_question_has_a_relative_date():
    temporal = {question["id"] for question in QUESTIONS if question["type"] == "temporal"}
    assert temporal == RELATIVE_DATES.keys()


@pytest.mark.parametrize("question_id", RELATIVE_DATES)
def test_temporal_answer_follows_from_the_calendar(question_id):
    question = BY_ID[question_id]
    expression, days = RELATIVE_DATES[question_id]
    (turn_id,) = question["evidence"]
    assert expression in TURNS[turn_id]["text"]

    said_on = datetime.fromisoformat(TURNS[turn_id]["time"]).date()
    happened_on = datetime.strptime(question["answers"][0], "%d %B %Y").date()
    assert happened_on == said_on + timedelta(days=days)
    assert question["answers"][-1] == happened_on.isoformat()

    weekday = expression.split()[-1]
    if weekday in WEEKDAYS:
        assert happened_on.weekday() == WEEKDAYS.index(weekday)


@pytest.mark.parametrize("question_id", RELATIVE_DATES)
def test_no_turn_spells_out_a_temporal_answer(question_id):
    answer = date.fromisoformat(BY_ID[question_id]["answers"][-1])
    spelled_out = re.compile(
        rf"\b{answer.day}(st|nd|rd|th)?( of)? {answer:%B}|{answer:%B} {answer.day}\b"
    )
    assert not [turn["id"] for turn in CONVERSATION if spelled_out.search(turn["text"])]


@pytest.mark.parametrize("question_id", UPDATES)
def test_update_is_the_last_word(question_id):
    old, new = UPDATES[question_id]
    question = BY_ID[question_id]
    assert question["type"] == "knowledge-update"
    assert question["answers"][0] == new

    told = [turn["id"] for turn in CONVERSATION].index(question["evidence"][0])
    assert any(old in turn["text"] for turn in CONVERSATION[:told])
    assert not any(old in turn["text"] for turn in CONVERSATION[told + 1 :])
