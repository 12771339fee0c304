"""The targets in C++ (csrc/fuzz): programs of their own, which `make fuzz` builds."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from benchmarks.chaos.fuzz.verdict import PATIENCE_S, ROOT, Found, Tell, Verdict, end_of
from benchmarks.chaos.fuzz.verdict import name_of_death as name_of
from benchmarks.chaos.fuzz.worker import Job

BUILT = ROOT / "build" / "fuzz" / "csrc" / "fuzz"
SOURCES = ROOT / "csrc" / "fuzz"
MOST_BYTES = 1024


def built() -> Mapping[str, Path]:
    """The programs that there are, by the name of their target."""
    files = [path for path in sorted(BUILT.glob("fuzz_*")) if os.access(path, os.X_OK)]
    return {path.name.replace("fuzz_", "csrc-"): path for path in files}


def named() -> set[str]:
    """The targets that there are sources of."""
    return {f"csrc-{path.stem}" for path in SOURCES.glob("*.cpp")}


def run(job: Job, tell: Tell = lambda done: None) -> Verdict:
    """Runs the inputs of a job, up to the first that is a finding."""
    folder = Path(job.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-runs={job.inputs}",
        f"-seed={job.seed + 1}",  # 0 would be the time
        f"-max_len={MOST_BYTES}",
        "-len_control=0",
        f"-timeout={PATIENCE_S}",
        f"-artifact_prefix={folder}/{job.target}-",
        "-print_final_stats=1",
    ]
    begin, before = time.monotonic(), _cpu_s()
    with tempfile.TemporaryFile() as said:
        code = _run([str(built()[job.target]), *options], said, tell)
        told = end_of(said)
    return Verdict(
        target=job.target,
        engine="libfuzzer",
        seed=job.seed,
        inputs=_stat(told, "number_of_executed_units"),
        seconds=time.monotonic() - begin,
        cpu_s=_cpu_s() - before,
        slowest_s=_stat(told, "slowest_unit_time_sec"),
        findings=(_found(code, told),) if code else (),
    )


def replay(job: Job, file: Path) -> int:
    """Runs one input, which says itself what comes of it; the exit code."""
    return subprocess.run([str(built()[job.target]), str(file)], check=False).returncode


def _run(command: list[str], said: IO[bytes], tell: Tell) -> int:
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said.write(line)
            if (number := re.match(rb"#(\d+)\t", line)) is not None:
                tell(int(number[1]))
    return process.returncode


def _found(code: int, told: str) -> Found:
    written = re.search(r"Test unit written to (\S+)", told)
    return Found(name_of(code, told), written[1] if written else "")


def _stat(told: str, name: str) -> int:
    found = re.search(rf"^stat::{name}:\s*(\d+)$", told, re.MULTILINE)
    return int(found[1]) if found else 0


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
