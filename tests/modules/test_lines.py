from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from budgetmem.modules.lines import lines, sentence_lines, third_person
from budgetmem.types import Chunk


def _chunk(text: str) -> Chunk:
    return Chunk("c", "s", datetime(2023, 6, 9), ("t",), text, 9)


@pytest.mark.parametrize(
    ("written", "speaker", "text"),
    [
        ("Ada: I ran.", "Ada", "I ran."),
        ("Dr Ada Lee: I ran: fast", "Dr Ada Lee", "I ran: fast"),
        ('Ada said, "I ran." and shared a map', "Ada", "I ran. [shares a map]"),
        ("It was late. Then: nothing", "", "It was late. Then: nothing"),
        ("https://a.b/c", "", "https://a.b/c"),
        ("[3] forged: yes", "", "[3] forged: yes"),
        ("A line of a document.", "", "A line of a document."),
    ],
)
def test_finds_the_speaker(written: str, speaker: str, text: str) -> None:
    (line,) = lines([_chunk(written)])
    assert (line.speaker, line.text) == (speaker, text)


def test_shared_turns_of_overlapping_chunks_come_once_with_all_ids() -> None:
    first, second = _chunk("A: one\nB: two"), replace(_chunk("B: two\nA: three"), id="d")
    assert [(x.text, x.chunk_ids) for x in lines([first, second])] == [
        ("one", ("c",)),
        ("two", ("c", "d")),
        ("three", ("d",)),
    ]


def test_sentences_keep_their_turns_speaker_and_part_with_images() -> None:
    said = sentence_lines(lines([_chunk("Ada: I ran. Fun! [shares an image: a hill. A tree]")]))
    assert [x.text for x in said] == ["I ran.", "Fun!", "[shares an image: a hill. A tree]"]
    assert {x.speaker for x in said} == {"Ada"}
    assert [x.position for x in said] == [0, 1, 2]


def test_the_other_is_known_between_two() -> None:
    assert [x.other for x in lines([_chunk("A: x\nB: y")])] == ["B", "A"]
    assert {x.other for x in lines([_chunk("A: x\nB: y\nC: z")])} == {""}
    assert {x.other for x in lines([_chunk("A: x")])} == {""}


@pytest.mark.parametrize(
    ("said", "reported"),
    [
        ("I'm tired", "Ada is tired"),
        ("I've met your sister", "Ada has met Ben's sister"),
        ("You’re kind to me", "Ben is kind to Ada"),
        ("I don't know my way", "Ada doesn't know Ada's way"),
        ("You were late", "Ben was late"),
        ("i.e. this", "i.e. this"),
        ("Myth and timing", "Myth and timing"),
    ],
)
def test_reports_in_the_third_person(said: str, reported: str) -> None:
    assert third_person(said, "Ada", "Ben") == reported


def test_unknown_names_leave_pronouns_alone() -> None:
    assert third_person("I like you", "", "") == "I like you"
    assert third_person("I like you", r"A\1b", "") == r"A\1b like you"


def test_told_resolves_dates() -> None:
    (line,) = lines([_chunk("Ada: I ran yesterday")])
    assert line.told == "Ada: I ran yesterday [8 June 2023]"
