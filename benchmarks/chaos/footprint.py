"""What a server and everything that it started hold: memory, file descriptors, shared memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Footprint:
    """Bytes of resident memory of the server and of its Triton, open files of both, and files and
    bytes in shared memory."""

    server_bytes: int
    triton_bytes: int
    descriptors: int
    shared_files: int
    shared_bytes: int


def footprint(pid: int) -> Footprint:
    """Of the server with this process id, at this moment."""
    server = psutil.Process(pid)
    others = server.children(recursive=True)
    shared = [size for file in SHARED_MEMORY.glob("budgetmem_*") for size in _size(file)]
    return Footprint(
        server_bytes=server.memory_info().rss,
        triton_bytes=sum(each for other in others for each in _resident(other)),
        descriptors=server.num_fds() + sum(each for other in others for each in _open(other)),
        shared_files=len(shared),
        shared_bytes=sum(shared),
    )


def started_by(pid: int, program: str) -> list[psutil.Process]:
    """The processes of a server whose program ends in this name."""
    found = []
    for each in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess, IndexError):
            if each.cmdline()[0].endswith(program):
                found.append(each)
    return found


def _resident(process: psutil.Process) -> Iterator[int]:
    with suppress(psutil.NoSuchProcess):
        yield process.memory_info().rss


def _open(process: psutil.Process) -> Iterator[int]:
    with suppress(psutil.NoSuchProcess):
        yield process.num_fds()


def _size(file: Path) -> Iterator[int]:
    with suppress(FileNotFoundError):
        yield file.stat().st_size
