"""What was run so far, one JSON line each: a second start goes on where the first one stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from benchmarks.load.measures import Sample
from benchmarks.load.runs import Run
from benchmarks.machine import describe

Setting = Mapping[str, Any]
"""Everything chosen that changes the figures: lines of another setting are passed over."""


@dataclass(frozen=True)
class Record:
    """A run, its samples, and the machine as it was."""

    run: Run
    samples: tuple[Sample, ...]
    machine: Mapping[str, Any]


class Journal:
    """The lines of one setting in a file that may hold others."""

    def __init__(self, path: Path, setting: Setting) -> None:
        self._path = path
        # As it will be read back: tuples are lists there.
        self.setting: Setting = json.loads(json.dumps(setting))

    def saturation(self) -> float | None:
        """The calibrated questions/s, or None."""
        found = [float(line["saturation"]) for line in self._lines() if "saturation" in line]
        return found[-1] if found else None

    def keep_saturation(self, rate: float) -> None:
        self._append({"saturation": rate})

    def records(self) -> list[Record]:
        """The runs, in the order in which they were made."""
        return [
            Record(
                Run(**line["run"]),
                tuple(Sample(*values) for values in line["samples"]),
                line["machine"],
            )
            for line in self._lines()
            if "run" in line
        ]

    def keep(self, run: Run, samples: Sequence[Sample]) -> None:
        self._append({"run": asdict(run), "samples": [astuple(sample) for sample in samples]})

    def _lines(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        lines = [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["setting"] == self.setting]

    def _append(self, line: Mapping[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        whole = {"setting": self.setting, "machine": describe(), **line}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(whole) + "\n")
