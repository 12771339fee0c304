"""Chunks under the dates of their sessions."""

from datetime import datetime

from budgetmem.dated_chunks import as_found
from budgetmem.types import Chunk


def test_chunks_as_they_were_found_are_under_their_dates_which_come_once():
    first = Chunk("1", "1", datetime(2023, 5, 8), ("1",), "Ana: I moved yesterday.", 4)
    second = Chunk("2", "1", datetime(2023, 5, 8), ("2",), "Ben: Bye!", 2)
    third = Chunk("3", "2", None, ("3",), "Ana: When was that?", 4)
    assert as_found((first, second, third)) == (
        "8 May 2023:\nAna: I moved yesterday [7 May 2023].\nBen: Bye!\nAna: When was that?"
    )
    assert as_found(()) == ""
