"""Where a history lives on disk, and the locks that keep a deletion apart from everything else."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from budgetmem.errors import InvalidInput

logger = logging.getLogger(__name__)

SUFFIX = ".db"
_SIDE_FILES = ("-wal", "-shm", "-journal")
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_WITHOUT_TEXT = "-shm"
_WIPED_AT_ONCE = 1 << 20
_LONGEST = 240
"""Bytes of a file name that leave room for the suffixes within the usual limit of 255."""


def encode(name: str, field: str) -> str:
    """A file name for any non-empty name; one to one, also where file names ignore case.

    Everything but a-z, 0-9, "_" and "-" is percent-encoded, dots and slashes too, so no name can
    leave its folder. Raises InvalidInput for an empty name, one that is not Unicode or too long.
    """
    if not name:
        raise InvalidInput(field, "must not be empty")
    try:
        raw = name.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInput(field, f"not valid Unicode at character {exc.start}") from exc
    encoded = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in raw)
    if len(encoded) > _LONGEST:
        raise InvalidInput(
            field, f"too long: {len(encoded)} bytes when percent-encoded, {_LONGEST} are the most"
        )
    return encoded


class Paths:
    """The files of histories below `root`: `<tenant>/<history>.db`, names percent-encoded.

    `waits`: for everyone to let go of what is to be held exclusively.
    """

    def __init__(self, root: Path, *, waits: bool = True) -> None:
        self._root = root
        self._exclusive = fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB

    def database(self, tenant: str, history: str) -> Path:
        return self._folder(tenant) / (encode(history, "history") + SUFFIX)

    def tenants(self) -> list[str]:
        """Names of all tenants that have a folder, sorted."""
        # Names are encoded without dots; what has one is not a tenant's.
        folders = (path.name for path in self._root.glob("*/") if "." not in path.name)
        return sorted(unquote(name) for name in folders)

    def histories(self, tenant: str) -> list[str]:
        """Names of all histories that have a file, sorted."""
        # Names are encoded without dots; a side file may be all that a crash left.
        files = self._folder(tenant).glob(f"*{SUFFIX}*")
        return sorted({unquote(path.name.partition(".")[0]) for path in files})

    def files(self, database: Path) -> list[Path]:
        """The database and its side files, those that exist."""
        side = [database.with_name(database.name + suffix) for suffix in _SIDE_FILES]
        return [path for path in [database, *side] if path.exists()]

    def remove(self, database: Path) -> None:
        """Unlinks the files of a history, and its tenant's folder if that was the last one. The
        caller holds the exclusive lock."""
        for file in self.files(database):
            file.unlink()
        self._drop(database.parent)

    def drop_tenant(self, tenant: str) -> None:
        """Removes a tenant's folder if nothing is in it."""
        self._drop(self._folder(tenant))

    def _drop(self, folder: Path) -> None:
        with self._lock(_shard("tenants-", folder.name), fcntl.LOCK_EX):
            if not folder.exists():
                return
            try:
                folder.rmdir()
            except OSError:  # there are other histories
                sync_folder(folder)
            else:
                sync_folder(self._root)

    @contextmanager
    def shared(self, tenant: str, history: str) -> Iterator[Path]:
        """Holds off deletion: inside, the file at the path yielded stays the same file."""
        with self._locked(tenant, history, fcntl.LOCK_SH) as path:
            yield path

    @contextmanager
    def exclusive(self, tenant: str, history: str) -> Iterator[Path]:
        """Holds off everyone, in every process: inside, the file may be unlinked. Raises
        BlockingIOError if it is held and not waited for."""
        with self._locked(tenant, history, self._exclusive) as path:
            yield path

    @contextmanager
    def creating(self, tenant: str, history: str) -> Iterator[Path]:
        """As `exclusive`, and the folder for the file is there. Afterwards both are durable; if
        something is raised, nothing is left of a file that was not there before."""
        with self.exclusive(tenant, history) as path:
            there = path.exists()
            try:
                # Nobody may take the folder away before the file is in it.
                with self._lock(_shard("tenants-", path.parent.name), fcntl.LOCK_SH):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    yield path
                    for folder in (path.parent, self._root, self._root.parent):
                        sync_folder(folder)
            except BaseException:
                if not there:
                    self.remove(path)
                raise

    def _folder(self, tenant: str) -> Path:
        return self._root / encode(tenant, "tenant")

    @contextmanager
    def _locked(self, tenant: str, history: str, operation: int) -> Iterator[Path]:
        path = self.database(tenant, history)
        with self._lock(_shard("", f"{path.parent.name}/{path.name}"), operation):
            yield path

    @contextmanager
    def _lock(self, shard: str, operation: int) -> Iterator[None]:
        folder = self._root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / shard, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, operation)
            yield
        finally:
            os.close(descriptor)


def wipe(files: Iterable[Path]) -> None:
    """Overwrites all that is in the files, where they lie on the disk: it needs no room there, save
    where a file system copies what is written. What cannot be overwritten is left, and logged."""
    for path in files:
        if path.name.endswith(_WITHOUT_TEXT):
            continue
        try:
            _overwrite(path)
        except OSError:
            logger.warning("%s was not overwritten before its deletion", path, exc_info=True)


def _overwrite(path: Path) -> None:
    with path.open("r+b", buffering=0) as file:
        left = path.stat().st_size
        while left:
            left -= file.write(bytes(min(left, _WIPED_AT_ONCE)))
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Makes the creation or removal of files in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _shard(kind: str, name: str) -> str:
    """One of a few lock files for all names: they outlive deletion without keeping names."""
    return kind + hashlib.sha256(name.encode()).hexdigest()[:2]
