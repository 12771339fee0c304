"""Evidence is the turns that a memory was made from, not all that was read with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from budgetmem.chunking import units
from budgetmem.config import ChunkingProfile
from budgetmem.evidence import evidence_of
from budgetmem.pipeline import ExtractRequest
from budgetmem.types import Chunk, Finding, Turn
from tests.fakes import CHUNKS, pipeline
from tests.server.fake_engine import MEMORY
from tests.toys import Words

MAY = datetime(2023, 5, 8, 12)


def chunk(name, turn_ids, *lines):
    return Chunk(name, "s", MAY, tuple(turn_ids), "\n".join(lines), 9)


def memory(text, *chunks, cites=("c1",)):
    findings = {"summary": (Finding("summary", text, tuple(cites)),)}
    return replace(MEMORY, text=text, findings=findings, chunks=chunks)


def ids(made):
    return [(each.turn_ids, each.quoted) for each in evidence_of(made)]


MOVED = chunk("c1", ["t1", "t2"], "Ana: I moved to Lisbon today.", "Bo: Rex came along.")
LATER = chunk("c2", ["t3"], "Ana: I moved again.")


def test_of_two_turns_that_were_kept_the_quoted_one_is_evidence():
    [found] = evidence_of(memory("8 May 2023:\nAna: I moved to Lisbon today [8 May 2023].", MOVED))
    assert (found.turn_ids, found.speaker) == (("t1",), "Ana")
    assert (found.text, found.time) == ("I moved to Lisbon today.", MAY)
    assert found.quoted


def test_chunks_that_the_summary_does_not_cite_are_none():
    assert ids(memory("Ana: I moved", MOVED, LATER)) == [(("t1",), True)]
    assert ids(memory("Ana: I moved", MOVED, LATER, cites=["c2"])) == [(("t3",), True)]


def test_a_finding_in_other_words_is_from_the_turn_that_has_most_of_them():
    assert ids(memory("Ana moved to Lisbon", MOVED)) == [(("t1",), True)]


def test_turns_that_say_the_same_are_all_evidence():
    twice = chunk("c1", ["t1", "t2", "t3"], "Bo: Lovely!", "Ana: No.", "Bo: Lovely!")
    assert ids(memory("Bo: Lovely!", twice)) == [(("t1",), True), (("t3",), True)]


@pytest.mark.parametrize(
    ("text", "cites", "turn_ids"),
    [("8 May 2023:\nElse", ["c1"], ["t1", "t2"]), ("Ana: I moved", [], ["t1", "t2", "t3"])],
)
def test_what_is_not_known_to_be_quoted_is_not_said_to_be(text, cites, turn_ids):
    assert ids(memory(text, MOVED, LATER, cites=cites)) == [((each,), False) for each in turn_ids]


def test_an_empty_memory_rests_on_nothing():
    assert evidence_of(memory(" \n", MOVED, cites=[])) == ()


def test_parts_of_a_long_turn_are_one():
    long = chunk("c1", ["t1", "t2"], "Ana: One.", "Ana: Two.", "Bo: Fine.")
    [found] = evidence_of(memory("Ana: Two.", long))
    assert (found.turn_ids, found.text) == (("t1",), "One. Two.")


@pytest.mark.parametrize(
    "lines",
    [
        ["Ana: One.", "Ana: Two.", "Ana: Three."],
        ['Ana said, "One.', 'two"', 'Bo said, "Three."'],
        ["One paragraph.", "Another.", "A third."],
    ],
)
def test_turns_that_cannot_be_told_apart_stay_together(lines):
    together = chunk("c1", ["t1", "t2"], *lines)
    [found] = evidence_of(memory("8 May 2023:\nOne.", together))
    assert found.turn_ids == ("t1", "t2")
    assert found.text == "\n".join(lines)


@pytest.mark.parametrize("form", ["line", "said"])
def test_turns_of_real_chunks_have_their_own_words(form):
    turns = [
        Turn("t1", "Ana", "Yes\nindeed: yes.", caption="a dog"),
        Turn("t2", "Dr. Ben", "Rex and 3:15."),
        Turn("t3", "Ana", " ".join(["word"] * 30)),
    ]
    profile = ChunkingProfile(unit="pack", form=form, max_tokens=40)
    for unit in units("s", turns[: 3 if form == "line" else 1], profile, Words()):
        held = list(dict.fromkeys(line.turn_id for line in unit.lines))
        for found in evidence_of(memory("nothing", chunk("c1", held, unit.text), cites=["c1"])):
            words = " ".join(turn.text for turn in turns if turn.id in found.turn_ids)
            assert set(words.split()) & set(found.text.split())


async def test_of_the_pipelines_own_memory_every_turn_in_it_is_evidence():
    made = await pipeline().extract(ExtractRequest("t", "h", "What did Ana adopt?"))
    assert ids(made) == [(("t1",), True), (("t2",), True), (("t3",), True)]
    assert all(any(each.text in chunk.text for chunk in CHUNKS) for each in evidence_of(made))
