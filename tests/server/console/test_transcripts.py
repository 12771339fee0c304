"""Transcripts in the console, in Node: read as the command line reads them."""

from __future__ import annotations

import json
import shutil

import pytest

from budgetmem.errors import InvalidInput
from budgetmem.importers import transcript
from tests.importers.transcripts import CASES, made

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed"),
]

TOLD = """
const told = (text) => {
  try { return turnsOf(text); } catch (error) { return error.message; }
};
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["about"])
def test_a_transcript_is_read_as_by_the_command_line(node, case):
    found = node(f"{TOLD}result = told(input);", case["text"])
    if "fault" in case:
        assert found.startswith(f"Line {case['fault']} names no speaker")
        return
    assert found == [as_here(each, turn) for each, turn in zip(found, case["turns"], strict=True)]


def as_here(found, turn):
    """The turn of the command line as the console has it: sessions with a date are called by it."""
    session, time, speaker, text = turn
    told = {"id": found["id"], "speaker": speaker, "text": text, "session": time or session}
    return told | ({"time": time} if time else {})


def by_the_command_line(text, path):
    """Its turns; None where it refuses the text."""
    path.write_text(text, encoding="utf-8", newline="")
    try:
        turns = transcript.read(path)[path.stem]
    except InvalidInput:
        return None
    return [(t.session, t.time and t.time.isoformat(), t.speaker, t.text) for t in turns]


def test_any_transcript_is_read_as_by_the_command_line(node, tmp_path):
    texts = [text for text in made(400) if text.strip()]
    found = node(f"{TOLD}result = JSON.parse(input).map(told);", json.dumps(texts))
    theirs = [by_the_command_line(text, tmp_path / "talk.txt") for text in texts]
    assert 40 < theirs.count(None) < 360
    for text, ours, turns in zip(texts, found, theirs, strict=True):
        if turns is None:
            assert isinstance(ours, str), text
        else:
            assert ours == [as_here(*pair) for pair in zip(ours, turns, strict=True)], text


SPOKEN = "Ana: I moved to Lisbon.\n  In May.\nBo: Lovely: when?\nBo: Lovely: when?\n"


def test_a_transcript_becomes_turns_with_the_same_ids_every_time(node):
    first, again = node("result = [turnsOf(input), turnsOf(input + input)];", SPOKEN)
    assert [(each["speaker"], each["text"]) for each in first] == [
        ("Ana", "I moved to Lisbon.\nIn May."),
        ("Bo", "Lovely: when?"),
        ("Bo", "Lovely: when?"),
    ]
    ids = [each["id"] for each in again]
    assert ids[:3] == [each["id"] for each in first]
    assert len(set(ids)) == 6


def test_transcripts_of_two_days_do_not_become_one_session(node):
    days = ["2023-05-08\nAna: Hi.", "2023-05-09\nAna: Hi."]
    [one], [other] = node("result = JSON.parse(input).map(turnsOf);", json.dumps(days))
    assert one["session"] != other["session"]
    assert one["id"] != other["id"]
