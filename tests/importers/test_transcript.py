"""Plain transcripts: names, continued lines, sessions by blank lines and dates."""

from datetime import datetime

import pytest

from budgetmem.errors import InvalidInput
from budgetmem.importers.transcript import read
from tests.importers.transcripts import CASES

TEXT = """\
# 8 May 2023

Ana: Hello,
this is still me: at 10:30
see https://example.org
Dr. Ben: Hi!

[2023-05-09 14:00]
Ana: Next day
May 10, 2023
Ana: Without a blank line


Ana: No date
"""


def test_a_transcript(tmp_path):
    path = tmp_path / "talk.txt"
    path.write_text(TEXT, encoding="utf-8")
    turns = read(path)["talk"]
    assert [(t.id, t.speaker, t.session, t.time) for t in turns] == [
        ("1:0", "Ana", "1", datetime(2023, 5, 8)),
        ("1:1", "this is still me", "1", datetime(2023, 5, 8)),
        ("1:2", "Dr. Ben", "1", datetime(2023, 5, 8)),
        ("2:0", "Ana", "2", datetime(2023, 5, 9, 14)),
        ("3:0", "Ana", "3", datetime(2023, 5, 10)),
        ("4:0", "Ana", "4", None),
    ]
    assert turns[1].text == "at 10:30\nsee https://example.org"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["about"])
def test_cases_that_the_console_reads_too(tmp_path, case):
    path = tmp_path / "talk.txt"
    path.write_text(case["text"], encoding="utf-8", newline="")
    if "fault" in case:
        with pytest.raises(InvalidInput, match=f"line {case['fault']}:"):
            read(path)
        return
    found = [
        [turn.session, turn.time and turn.time.isoformat(), turn.speaker, turn.text]
        for turn in read(path)["talk"]
    ]
    assert found == case["turns"]


def test_a_line_without_a_name_continues_the_turn(tmp_path):
    path = tmp_path / "talk.txt"
    path.write_text("Ana:\none\n10:30 two\nhttps://x.org three\nBen: four", encoding="utf-8")
    turns = read(path)["talk"]
    assert [(t.speaker, t.text) for t in turns] == [
        ("Ana", "one\n10:30 two\nhttps://x.org three"),
        ("Ben", "four"),
    ]


def test_text_before_any_name_is_a_fault_of_its_line(tmp_path):
    path = tmp_path / "talk.txt"
    path.write_text("\nno name here\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"talk.txt line 2: expected `Name: text`"):
        read(path)


def test_bad_utf8_names_line_and_byte(tmp_path):
    path = tmp_path / "talk.txt"
    path.write_bytes(b"Ana: x\nBen: \xff\n")
    with pytest.raises(InvalidInput, match="line 2: not UTF-8 at byte 5"):
        read(path)
