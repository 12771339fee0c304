"""What the readers share: decoding, typed fields, and errors that say where."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from budgetmem.errors import InvalidInput, NotFound
from budgetmem.types import Turn

T = TypeVar("T")

Record = Mapping[str, Any]
"""A JSON object of a file, its values not looked at yet."""

_NAMES = {str: "a string", list: "a list", dict: "an object", int: "an integer"}


class Importer(Protocol):
    """Reads the histories of a file by name; `select` picks one of them, None takes all.

    Raises InvalidInput naming file, line or place and field, NotFound for a name that is not
    there, OSError for a file that cannot be read.
    """

    def __call__(self, path: Path, select: str | None = None) -> dict[str, list[Turn]]: ...


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers from 1, and lines without their end. Raises InvalidInput for bad UTF-8."""
    for number, raw in enumerate(path.read_bytes().split(b"\n"), start=1):
        line = raw.removesuffix(b"\r")
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as exc:
            raise InvalidInput(
                f"{path.name} line {number}", f"not UTF-8 at byte {exc.start} of the line"
            ) from exc


def json_lines(path: Path) -> Iterator[tuple[str, Record]]:
    """The objects of a JSONL file, each with its place for errors; blank lines are skipped."""
    for number, line in text_lines(path):
        if line.strip():
            where = f"{path.name} line {number}"
            yield where, expect(_parse(where, line), dict, where)


def json_records(path: Path) -> Iterator[tuple[str, Record]]:
    """The objects of a JSONL file, of a JSON list, or a single one."""
    if path.suffix == ".jsonl":
        yield from json_lines(path)
        return
    whole = _parse(path.name, "\n".join(line for _, line in text_lines(path)))
    records = whole if isinstance(whole, list) else [whole]
    for index, record in enumerate(records):
        where = f"{path.name}[{index}]"
        yield where, expect(record, dict, where)


def _parse(where: str, text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        raise InvalidInput(
            where, f"not JSON: {exc.msg} (line {exc.lineno}, column {exc.colno})"
        ) from exc
    except RecursionError as exc:
        raise InvalidInput(where, "not usable JSON: nested too deeply") from exc
    except ValueError as exc:
        raise InvalidInput(where, "not usable JSON: an integer of too many digits") from exc


def expect(value: object, kind: type[T], where: str) -> T:
    """The value, if it is of that kind; true and false are no integers. Raises InvalidInput."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidInput(where, f"must be {_NAMES[kind]}, not {type(value).__name__}")
    return value


def get(record: Record, key: str, kind: type[T], where: str) -> T:
    """A field that must be there. Raises InvalidInput naming it."""
    if key not in record:
        raise InvalidInput(f"{where}.{key}", "is missing")
    return expect(record[key], kind, f"{where}.{key}")


def date(text: str, form: str, where: str) -> datetime:
    """A time in the form of strptime. Raises InvalidInput."""
    try:
        return datetime.strptime(text, form)
    except ValueError as exc:
        raise InvalidInput(where, f"{text!r} is not a time of the form {form!r}") from exc


def named(histories: Iterable[tuple[str, str, list[Turn]]]) -> dict[str, list[Turn]]:
    """Place, name and turns of each history, by name. Raises InvalidInput for a name that comes
    twice: the second would take the first one's place."""
    found: dict[str, list[Turn]] = {}
    for where, name, turns in histories:
        if name in found:
            raise InvalidInput(where, f"a second history named {name!r}")
        found[name] = turns
    return found


def pick(histories: dict[str, list[Turn]], select: str | None, path: Path) -> dict[str, list[Turn]]:
    """All histories, or the selected one. Raises NotFound naming some of those that exist."""
    if select is None:
        return histories
    if select not in histories:
        some = ", ".join(list(histories)[:10])
        raise NotFound(f"{path.name} has no history {select!r}; it has {some}")
    return {select: histories[select]}
