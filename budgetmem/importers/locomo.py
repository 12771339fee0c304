"""LoCoMo (`locomo10.json`): one history a conversation, named by its `sample_id`."""

from __future__ import annotations

import re
from pathlib import Path

from budgetmem.importers.base import Record, date, expect, get, json_records, named, pick
from budgetmem.types import Turn

_SESSION = re.compile(r"session_([0-9]+)")
_TIME = "%I:%M %p on %d %B, %Y"


def read(path: Path, select: str | None = None) -> dict[str, list[Turn]]:
    """Turn ids are the `dia_id`s, sessions `session_N`; a photo's `blip_caption` is the caption."""
    found = (
        (where, get(record, "sample_id", str, where), conversation(record, where))
        for where, record in json_records(path)
    )
    return pick(named(found), select, path)


def conversation(record: Record, where: str) -> list[Turn]:
    """The turns of one record, session by session."""
    talk = get(record, "conversation", dict, where)
    names = sorted(filter(_SESSION.fullmatch, talk), key=_number)
    return [turn for name in names for turn in _session(talk, name, where)]


def _number(session: str) -> tuple[int, str]:
    """In the order of the sessions' numbers, which may be of any length."""
    digits = session.removeprefix("session_").lstrip("0")
    return len(digits), digits


def _session(talk: Record, name: str, where: str) -> list[Turn]:
    key = f"{name}_date_time"
    time = date(get(talk, key, str, where), _TIME, f"{where}.{key}")
    turns = []
    for index, entry in enumerate(get(talk, name, list, where)):
        place = f"{where}.{name}[{index}]"
        record = expect(entry, dict, place)
        caption = record.get("blip_caption")
        turns.append(
            Turn(
                id=get(record, "dia_id", str, place),
                speaker=get(record, "speaker", str, place),
                text=get(record, "text", str, place),
                time=time,
                session=name,
                caption=None if caption is None else expect(caption, str, f"{place}.blip_caption"),
            )
        )
    return turns
