"""What the checks look at: this machine, or, in a test, any other."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Machine:
    """Sizes are in bytes, None where they cannot be told; `sqlite` is the version in use."""

    python: tuple[int, int]
    system: str
    processor: str
    cores: int
    cpu_flags: frozenset[str]
    memory_bytes: int | None
    shared_memory_bytes: int | None
    sqlite: tuple[int, ...]
    fts5: bool


def this_machine() -> Machine:
    """The machine that this process runs on."""
    return Machine(
        python=sys.version_info[:2],
        system=platform.system(),
        processor=platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        cpu_flags=_cpu_flags(),
        memory_bytes=_memory("MemAvailable"),
        shared_memory_bytes=free_bytes(SHARED_MEMORY),
        sqlite=sqlite3.sqlite_version_info,
        fts5=_has_fts5(),
    )


def nearest_folder(path: Path) -> Path:
    """The path itself, or the nearest folder above that exists."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())


def free_bytes(path: Path) -> int | None:
    """Of the file system that the path is on, or would be; None if it cannot be told."""
    try:
        return shutil.disk_usage(nearest_folder(path)).free
    except OSError:
        return None


def _memory(field: str) -> int | None:
    found = _colon_pairs(Path("/proc/meminfo")).get(field)
    return None if found is None else int(found.split()[0]) * 1024


def _cpu_flags() -> frozenset[str]:
    return frozenset(_colon_pairs(Path("/proc/cpuinfo")).get("flags", "").split())


def _colon_pairs(file: Path) -> Mapping[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _has_fts5() -> bool:
    with sqlite3.connect(":memory:") as db:
        return ("ENABLE_FTS5",) in set(db.execute("PRAGMA compile_options"))
