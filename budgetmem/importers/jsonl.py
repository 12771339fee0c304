"""This project's own format: one turn a line, the fields of `Turn`, time in ISO 8601.

`id`, `speaker` and `text` are required; `time`, `session`, `caption` and `metadata` may be left
out. Reading what was written gives equal turns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from budgetmem.errors import InvalidInput
from budgetmem.importers.base import Record, expect, get, json_lines, pick
from budgetmem.types import Turn

_FIELDS = ("id", "speaker", "text", "time", "session", "caption", "metadata")


def read(path: Path, select: str | None = None) -> dict[str, list[Turn]]:
    """One history, named after the file."""
    return pick(
        {path.stem: [_turn(record, where) for where, record in json_lines(path)]}, select, path
    )


def write(turns: Iterable[Turn], path: Path) -> int:
    """Writes the turns and returns how many there were."""
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for turn in turns:
            file.write(line(turn) + "\n")
            count += 1
    return count


def line(turn: Turn) -> str:
    """The turn as one line, without its end; empty fields are left out."""
    record = {
        "id": turn.id,
        "speaker": turn.speaker,
        "text": turn.text,
        "time": None if turn.time is None else turn.time.isoformat(),
        "session": turn.session or None,
        "caption": turn.caption,
        "metadata": dict(turn.metadata) or None,
    }
    return json.dumps({k: v for k, v in record.items() if v is not None}, ensure_ascii=False)


def _turn(record: Record, where: str) -> Turn:
    unknown = sorted(set(record) - set(_FIELDS))
    if unknown:
        raise InvalidInput(
            f"{where}.{unknown[0]}", f"unknown field; there are {', '.join(_FIELDS)}"
        )
    caption = record.get("caption")
    return Turn(
        id=get(record, "id", str, where),
        speaker=get(record, "speaker", str, where),
        text=get(record, "text", str, where),
        time=_time(record.get("time"), f"{where}.time"),
        session=expect(record.get("session", ""), str, f"{where}.session"),
        caption=None if caption is None else expect(caption, str, f"{where}.caption"),
        metadata=_metadata(record.get("metadata", {}), f"{where}.metadata"),
    )


def _time(value: object, where: str) -> datetime | None:
    if value is None:
        return None
    text = expect(value, str, where)
    try:
        # Python 3.10 does not know the suffix Z.
        return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    except ValueError as exc:
        raise InvalidInput(where, f"{text!r} is not a time in ISO 8601") from exc


def _metadata(value: object, where: str) -> dict[str, str]:
    entries = expect(value, dict, where)
    return {key: expect(entry, str, f"{where}.{key}") for key, entry in entries.items()}
