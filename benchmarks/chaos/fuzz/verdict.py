"""What became of a target's inputs."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[3]

PATIENCE_S = 300
"""An input takes no longer, on a machine as busy as it may be; the process ends if it does."""

TOLD_BYTES = 8000
"""Of what a process said last."""

Tell = Callable[[int], None]
"""Is told how many inputs were run so far."""


@dataclass(frozen=True)
class Found:
    """A finding: what it is called, and the file with the input that showed it first."""

    name: str
    file: str
    count: int = 1


@dataclass(frozen=True)
class Verdict:
    """`seconds` went by, of which `cpu_s` were worked; `slowest_s` is the slowest input's share."""

    target: str
    engine: str
    seed: int
    inputs: int
    seconds: float
    cpu_s: float
    slowest_s: float
    findings: tuple[Found, ...]

    def report(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    def __str__(self) -> str:
        speed = self.inputs / max(self.cpu_s, 1e-9)
        ran = f"{self.inputs} inputs by {self.engine} in {self.seconds:.0f} s"
        found = [f"\n    {each.count} x {each.name}: {each.file}" for each in self.findings]
        told = f"{speed:.0f} a CPU second; {len(found)} findings{''.join(found)}"
        return f"{self.target}: {ran}, {told}"


def end_of(said: IO[bytes]) -> str:
    """What a process said last."""
    said.seek(max(0, said.seek(0, os.SEEK_END) - TOLD_BYTES))
    return said.read().decode("utf-8", "replace")


def name_of_death(code: int, told: str) -> str:
    """As a sanitizer sums it up, or the signal; faulthandler ends what takes too long."""
    if told.lstrip().startswith("Timeout ("):
        return f"hung for {PATIENCE_S} s"
    if (summary := re.search(r"^SUMMARY: (.*)$", told, re.MULTILINE)) is not None:
        return f"died: {summary[1].replace(f'{ROOT}/', '')}"
    return f"died: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
