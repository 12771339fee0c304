"""LongMemEval, oracle or S: one history a question, named by its `question_id`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from budgetmem.errors import InvalidInput
from budgetmem.importers.base import Record, date, expect, get, json_records, named, pick
from budgetmem.types import Turn

TIME = "%Y/%m/%d (%a) %H:%M"


def read(path: Path, select: str | None = None) -> dict[str, list[Turn]]:
    """Sessions are the haystack's, turn ids `SESSION:N` with N from 0, speakers the roles."""
    found = (
        (where, get(record, "question_id", str, where), haystack(record, where))
        for where, record in json_records(path)
    )
    return pick(named(found), select, path)


def haystack(record: Record, where: str) -> list[Turn]:
    """The turns of one question's haystack, in the order of the file."""
    ids = get(record, "haystack_session_ids", list, where)
    dates = get(record, "haystack_dates", list, where)
    sessions = get(record, "haystack_sessions", list, where)
    if not len(ids) == len(dates) == len(sessions):
        raise InvalidInput(
            f"{where}.haystack_sessions",
            f"{len(sessions)} sessions, but {len(ids)} ids and {len(dates)} dates",
        )
    seen: Counter[str] = Counter()
    turns = []
    for index, (raw_id, raw_date, session) in enumerate(zip(ids, dates, sessions, strict=True)):
        place = f"{where}.haystack_sessions[{index}]"
        name = expect(raw_id, str, f"{where}.haystack_session_ids[{index}]")
        seen[name] += 1
        unique = name if seen[name] == 1 else f"{name}#{seen[name]}"
        dated = f"{where}.haystack_dates[{index}]"
        time = date(expect(raw_date, str, dated), TIME, dated)
        for number, entry in enumerate(expect(session, list, place)):
            turn = expect(entry, dict, f"{place}[{number}]")
            turns.append(
                Turn(
                    id=f"{unique}:{number}",
                    speaker=get(turn, "role", str, f"{place}[{number}]"),
                    text=get(turn, "content", str, f"{place}[{number}]"),
                    time=time,
                    session=unique,
                )
            )
    return turns
