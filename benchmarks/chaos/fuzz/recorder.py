"""Runs inputs of one target, and keeps what is found out in a way that a crash cannot undo."""

from __future__ import annotations

import faulthandler
import hashlib
import json
import mmap
import struct
import sys
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.chaos.fuzz.rules import Broken, Function
from benchmarks.chaos.fuzz.verdict import PATIENCE_S, ROOT, Found

EVERY_S = 1.0
"""Between two reports of progress."""

LAST = "last"
_HEAD = struct.Struct("<QQ")
_MOST = 1 << 20

_OWN = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Report:
    """Of all inputs so far: how many, and the CPU time of all and of the slowest, in seconds."""

    done: int
    cpu_s: float
    slowest_s: float
    found: tuple[Found, ...] = ()


@dataclass
class Recorder:
    """Runs inputs; reports on standard output, a line of JSON each time.

    Findings go to `folder`, named after the target. The last input is in the file LAST of `scratch`
    even if it ends the process.
    """

    target: str
    function: Function
    folder: Path
    scratch: Path
    done: int = 0
    slowest_s: float = 0.0
    files: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    due: float = 0.0
    begun_s: float = field(default_factory=time.process_time)

    def __post_init__(self) -> None:
        path = self.scratch / LAST
        path.write_bytes(bytes(_HEAD.size + _MOST))
        with path.open("r+b") as file:
            self._last = mmap.mmap(file.fileno(), 0)

    def run(self, data: bytes) -> None:
        """Runs one input."""
        self._last[: _HEAD.size] = _HEAD.pack(self.done + 1, len(data))
        self._last[_HEAD.size : _HEAD.size + len(data)] = data
        begin = time.process_time()
        try:
            self.function(data)
        except Exception as exc:  # noqa: BLE001 - whatever a target raises is a finding
            self._add(exc, data)
        self.slowest_s = max(self.slowest_s, time.process_time() - begin)
        self.done += 1
        if time.monotonic() > self.due:
            self.report()

    def report(self) -> None:
        """Says how far it is, and grants another PATIENCE_S."""
        faulthandler.dump_traceback_later(PATIENCE_S, exit=True)
        found = tuple(Found(name, self.files[name], count) for name, count in self.counts.items())
        report = Report(self.done, time.process_time() - self.begun_s, self.slowest_s, found)
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
        sys.stdout.flush()
        self.due = time.monotonic() + EVERY_S

    def _add(self, exc: Exception, data: bytes) -> None:
        name = name_of(exc)
        self.counts[name] += 1
        if name not in self.files:
            told = "".join(traceback.format_exception(exc))
            self.files[name] = keep(self.folder, self.target, name, data, told)
            self.report()


def keep(folder: Path, target: str, name: str, data: bytes, told: str) -> str:
    """Writes a finding's input, and beside it what is known of it; gives the input's file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target}-{hashlib.sha256(data).hexdigest()[:12]}.input"
    path.write_bytes(data)
    again = f"python -m benchmarks.chaos.fuzz {target} --replay {path}"
    text = f"{name}\n{again}\n\n{told}"
    path.with_suffix(".txt").write_text(text, encoding="utf-8", errors="backslashreplace")
    return str(path)


def last_input(last: Path) -> tuple[int, bytes]:
    """How many inputs a process began, by its file LAST, and the last of them."""
    raw = last.read_bytes() if last.exists() else bytes(_HEAD.size)
    begun, size = _HEAD.unpack_from(raw)
    return begun, raw[_HEAD.size : _HEAD.size + size]


def name_of(exc: BaseException) -> str:
    """The kind of an exception, and the last place in the project that it passed: exceptions of one
    name are one finding. A rule that was broken is named as it says itself."""
    if isinstance(exc, Broken):
        return f"broken: {exc}"
    places = traceback.extract_tb(exc.__traceback__)
    place = next(filter(_is_tested, reversed(places)), places[-1])
    return f"{type(exc).__name__} in {place.name} ({Path(place.filename).name}:{place.lineno})"


def _is_tested(place: traceback.FrameSummary) -> bool:
    path = Path(place.filename).resolve()
    inside = path.is_relative_to(ROOT) and "site-packages" not in path.parts
    return inside and not path.is_relative_to(_OWN)
