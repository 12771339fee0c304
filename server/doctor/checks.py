"""What a server of a profile needs of this machine, a function a need.

Each says what it found, and what to do if that will not do. They look and do not change anything,
and start no model.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path

from budgetmem.assets import AssetStatus, cache_root, status
from budgetmem.config import Profile
from budgetmem.errors import ConfigError
from server.doctor.machine import (
    SHARED_MEMORY,
    Machine,
    free_bytes,
    nearest_folder,
    this_machine,
)
from server.triton_install import find_install, libpython_folder

PYTHONS = ((3, 10), (3, 13))
"""Oldest and newest Python that is tested."""

SQLITE = (3, 38, 0)
"""Where JSON functions came to every build; the store needs them, and RETURNING (3.35)."""

SHARED_MEMORY_BYTES = 32 * 2**20
"""What Triton's Python backend takes for five models is about 6 MB, and grows with messages."""

WEIGHTS_TO_MEMORY = 2.0
"""Weights are packed: with caches, buffers and Triton a profile needs about twice as much."""

SLOW_TOKENS_PER_SECOND, FAST_TOKENS_PER_SECOND = 42, 350
"""Tokens that a 1.5B model of `small` reads in a second on two cores, without AVX-512 and with it
(docs/benchmarks.md)."""


class Level(str, Enum):
    """`WARN` works, less well; `FAIL` does not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What one check found. `advice` says what to do, empty where there is nothing to do."""

    check: str
    level: Level
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Wanted:
    """What is to be served, and where. With a `triton_url` nothing is embedded."""

    profile: Profile
    data_dir: Path
    host: str
    port: int
    triton_url: str | None = None


Check = Callable[[Wanted, Machine], Iterator[Finding]]


def examine(wanted: Wanted, machine: Machine | None = None) -> list[Finding]:
    """The findings of all checks, in the order of `CHECKS`."""
    looked = machine or this_machine()
    return [finding for check in CHECKS for finding in check(wanted, looked)]


def _interpreter(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    version = ".".join(map(str, machine.python))
    oldest, newest = PYTHONS
    if machine.python < oldest:
        advice = f"use Python {'.'.join(map(str, oldest))} or newer"
        yield Finding("python", Level.FAIL, f"Python {version}", advice)
    elif machine.python > newest:
        advice = f"tested up to {'.'.join(map(str, newest))}; an older one is safer"
        yield Finding("python", Level.WARN, f"Python {version}", advice)
    else:
        yield Finding("python", Level.OK, f"Python {version}")


def _triton(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    if wanted.triton_url is not None:
        yield _reached(wanted.triton_url)
        return
    kind = f"{machine.system} {machine.processor}"
    if (machine.system, machine.processor) != ("Linux", "x86_64"):
        advice = "the embedded Triton is for Linux on x86-64: name one elsewhere by --triton-url"
        yield Finding("triton", Level.FAIL, kind, advice)
        return
    try:
        install = find_install()
        libpython_folder()
    except ConfigError as exc:
        yield Finding("triton", Level.FAIL, str(exc))
    else:
        yield Finding("triton", Level.OK, f"embedded, {install.binary}")


def _reached(url: str) -> Finding:
    host, _, port = url.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=3).close()
    except (OSError, ValueError) as exc:
        advice = "start it, or name another by --triton-url HOST:PORT, its gRPC port"
        return Finding("triton", Level.FAIL, f"{url}: {exc}", advice)
    return Finding("triton", Level.OK, f"{url} accepts connections")


def _assets(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    if wanted.triton_url is not None:
        return
    rows = status(wanted.profile.assets)
    bad = [row for row in rows if row.state != "installed"]
    if not bad:
        yield Finding("assets", Level.OK, f"{len(rows)} installed, {_size(_bytes(rows))}")
        return
    found = ", ".join(f"{row.name} is {row.state}" for row in bad)
    advice = f"budgetmem assets pull {wanted.profile.name}  ({_size(_bytes(bad))})"
    yield Finding("assets", Level.FAIL, found, advice)
    free, needed = free_bytes(cache_root()), 2 * _bytes(bad)
    if free is not None and free < needed:
        advice = "downloads are converted: free twice their size, or set BUDGETMEM_ASSETS"
        yield Finding("disk", Level.FAIL, f"{_size(free)} free at {cache_root()}", advice)


def _memory_enough(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    if wanted.triton_url is not None or machine.memory_bytes is None:
        return
    needed = WEIGHTS_TO_MEMORY * _bytes(status(wanted.profile.assets))
    enough = machine.memory_bytes >= needed
    yield Finding(
        "memory",
        Level.OK if enough else Level.FAIL,
        f"{_size(machine.memory_bytes)} available",
        "" if enough else f"{wanted.profile.name} takes about {_size(needed)}: try --profile tiny",
    )


def _shared_memory(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    free = machine.shared_memory_bytes
    if wanted.triton_url is not None or free is None:
        return
    enough = free >= SHARED_MEMORY_BYTES
    advice = "Triton's Python models talk through it; for a container: --shm-size=256m"
    found = f"{_size(free)} free in {SHARED_MEMORY}"
    yield Finding(
        "shared memory", Level.OK if enough else Level.FAIL, found, "" if enough else advice
    )


def _cpu(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    if wanted.triton_url is not None:
        return
    found = f"{machine.cores} cores, AVX-512: {'yes' if 'avx512f' in machine.cpu_flags else 'no'}"
    if "avx512f" in machine.cpu_flags or not machine.cpu_flags:
        yield Finding("cpu", Level.OK, found)
        return
    advice = (
        f"without AVX-512 a 1.5B model reads about {SLOW_TOKENS_PER_SECOND} tokens/s on two cores, "
        f"with it {FAST_TOKENS_PER_SECOND}: expect tens of seconds a question"
    )
    yield Finding("cpu", Level.WARN, found, advice)


def _routers(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    missing = [name for name in ("onnxruntime", "onnx") if find_spec(name) is None]
    if not missing:
        yield Finding("routers", Level.OK, "onnxruntime and onnx are installed")
        return
    advice = f"pip install {' '.join(missing)}; without, every module takes its Mid tier"
    yield Finding("routers", Level.WARN, f"{', '.join(missing)} not installed", advice)


def _store(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    version = ".".join(map(str, machine.sqlite))
    if machine.sqlite < SQLITE or not machine.fts5:
        advice = f"the store needs {'.'.join(map(str, SQLITE))} with FTS5: use a newer Python build"
        found = f"SQLite {version}, FTS5: {'yes' if machine.fts5 else 'no'}"
        yield Finding("store", Level.FAIL, found, advice)
        return
    folder = nearest_folder(wanted.data_dir)
    if not os.access(folder, os.W_OK | os.X_OK):
        advice = "name a folder of yours by --data-dir, or by BUDGETMEM_DATA_DIR"
        yield Finding("store", Level.FAIL, f"{folder} cannot be written", advice)
        return
    yield Finding("store", Level.OK, f"SQLite {version}, {wanted.data_dir}")


def _port(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    address = f"{wanted.host}:{wanted.port}"
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((wanted.host, wanted.port))
        except OSError as exc:
            taken = exc.errno == errno.EADDRINUSE
            level = Level.WARN if taken else Level.FAIL
            advice = "a server may be running; else take another by --port" if taken else "--host"
            yield Finding("port", level, f"{address}: {exc.strerror or exc}", advice)
            return
    yield Finding("port", Level.OK, f"{address} is free")


CHECKS: Sequence[Check] = (
    _interpreter,
    _triton,
    _assets,
    _memory_enough,
    _shared_memory,
    _cpu,
    _routers,
    _store,
    _port,
)


def _bytes(rows: Sequence[AssetStatus]) -> int:
    return sum(row.size for row in rows)


def _size(bytes_: float) -> str:
    return f"{bytes_ / 1e9:.1f} GB" if bytes_ >= 1e9 else f"{bytes_ / 1e6:.0f} MB"
