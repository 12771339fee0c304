"""Runs a target in processes of its own: an input that kills one is a finding."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO

from benchmarks.chaos.fuzz.recorder import LAST, Report, keep, last_input
from benchmarks.chaos.fuzz.verdict import ROOT, Found, Tell, Verdict, end_of, name_of_death
from benchmarks.chaos.fuzz.worker import Job

MOST_DEATHS = 20
"""A target that killed so many processes is given up."""


@dataclass
class _Sum:
    """Over the processes of one target."""

    done: int = 0
    cpu_s: float = 0.0
    slowest_s: float = 0.0
    found: dict[str, Found] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        self.done += report.done
        self.cpu_s += report.cpu_s
        self.slowest_s = max(self.slowest_s, report.slowest_s)
        for found in report.found:
            self.add_found(found)

    def add_found(self, found: Found) -> None:
        known = self.found.get(found.name)
        count = found.count + (known.count if known else 0)
        self.found[found.name] = replace(known or found, count=count)


def run(job: Job, tell: Tell = lambda done: None) -> Verdict:
    """Runs the inputs of a job, in a new process behind each input that killed one.

    Raises RuntimeError where a process ends before its first input.
    """
    begin, total = time.monotonic(), _Sum()
    with tempfile.TemporaryDirectory(prefix="budgetmem-fuzz-", dir=_memory()) as scratch:
        for _ in range(MOST_DEATHS):
            left = replace(
                job, first=job.first + total.done, inputs=job.inputs - total.done, scratch=scratch
            )
            if left.inputs <= 0 or _run(left, total, tell):
                break
    return Verdict(
        target=job.target,
        engine=job.engine,
        seed=job.seed,
        inputs=total.done,
        seconds=time.monotonic() - begin,
        cpu_s=total.cpu_s,
        slowest_s=total.slowest_s,
        findings=tuple(total.found.values()),
    )


def replay(job: Job, file: Path) -> int:
    """Runs one input, which says itself what comes of it; the exit code of its process."""
    with tempfile.TemporaryDirectory(prefix="budgetmem-fuzz-") as scratch:
        again = replace(job, engine="replay", scratch=scratch, folder=str(file.resolve()))
        return subprocess.run(_command(again), cwd=ROOT, env=_env(again), check=False).returncode


def _run(job: Job, total: _Sum, tell: Tell) -> bool:
    """Runs one process to its end. False if an input ended it, which is a finding then."""
    last, report = Path(job.scratch) / LAST, Report(0, 0.0, 0.0)
    last.unlink(missing_ok=True)
    with tempfile.TemporaryFile() as said:
        with _started(job, said) as process:
            for report in _reports(process):
                tell(total.done + report.done)
        told = end_of(said)
    if process.returncode == 0:
        total.add(report)
        return True
    begun, data = last_input(last)
    if not begun:
        raise RuntimeError(f"{job.target} cannot be fuzzed:\n{told}")
    name = name_of_death(process.returncode, told)
    file = keep(Path(job.folder), job.target, name, data, told)
    total.add(replace(report, done=begun))
    total.add_found(Found(name, file))
    return False


def _started(job: Job, said: IO[bytes]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        _command(job), stdout=subprocess.PIPE, stderr=said, cwd=ROOT, env=_env(job), text=True
    )


def _command(job: Job) -> list[str]:
    return [sys.executable, "-m", "benchmarks.chaos.fuzz.worker", json.dumps(asdict(job))]


def _env(job: Job) -> Mapping[str, str]:
    """Inputs are to do the same in every process. What a sanitized module needs of a sanitizer has
    to be there before Python is."""
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    if job.core:
        # Python itself does not give back what it holds at its end.
        env |= {"LD_PRELOAD": preloads(job.core), "ASAN_OPTIONS": "detect_leaks=0"}
    return env


def preloads(core: str) -> str:
    """The libraries of AddressSanitizer that a module needs, and of C++, whose exceptions it
    follows: not every Python comes with that."""
    needed = subprocess.run(["ldd", core], capture_output=True, text=True, check=True).stdout
    return " ".join(re.findall(r"lib(?:asan|stdc\+\+)\S* => (\S+)", needed))


def _reports(process: subprocess.Popen[str]) -> Iterator[Report]:
    assert process.stdout is not None
    for line in process.stdout:
        # A process that is killed may leave half a line.
        if line.endswith("\n"):
            values = json.loads(line)
            found = tuple(Found(**each) for each in values.pop("found"))
            yield Report(**values, found=found)


def _memory() -> str | None:
    """A folder in memory, where there is one: importers read a file for each input."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
