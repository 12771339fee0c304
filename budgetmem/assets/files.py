"""Files on disk: digests, free space, a lock between processes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from budgetmem.errors import AssetError

BLOCK = 1 << 20
Advance = Callable[[int], None]


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def copy(source: IO[bytes], target: IO[bytes], advance: Advance) -> None:
    """Copies to the end, reporting the bytes of each block."""
    while block := source.read(BLOCK):
        target.write(block)
        advance(len(block))


def require_space(folder: Path, needed: int) -> None:
    """Raises AssetError if the file system of `folder` has less than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise AssetError(
            f"not enough disk space in {folder}: {needed / 1e9:.1f} GB needed, "
            f"{free / 1e9:.1f} GB free"
        )


def sync(path: Path) -> None:
    """Forces a file or folder to disk, so that what is renamed afterwards is complete."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds an exclusive lock; calls `waiting` once if another process has it.

    The kernel drops the lock when its holder dies, however it dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
