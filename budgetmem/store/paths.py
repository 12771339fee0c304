"""Where a history lives on disk, and the locks that keep a deletion apart from everything else."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from budgetmem.errors import InvalidInput

SUFFIX = ".db"
_SIDE_FILES = ("-wal", "-shm", "-journal")
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
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
    """The files of histories below `root`: `<tenant>/<history>.db`, names percent-encoded."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def database(self, tenant: str, history: str) -> Path:
        return self._root / encode(tenant, "tenant") / (encode(history, "history") + SUFFIX)

    def tenants(self) -> list[str]:
        """Names of all tenants that have a folder, sorted."""
        # Names are encoded without dots; what has one is not a tenant's.
        folders = (path.name for path in self._root.glob("*/") if "." not in path.name)
        return sorted(unquote(name) for name in folders)

    def histories(self, tenant: str) -> list[str]:
        """Names of all histories that have a file, sorted."""
        folder = self._root / encode(tenant, "tenant")
        return sorted(unquote(path.name[: -len(SUFFIX)]) for path in folder.glob(f"*{SUFFIX}"))

    def files(self, database: Path) -> list[Path]:
        """The database and its side files, those that exist."""
        side = [database.with_name(database.name + suffix) for suffix in _SIDE_FILES]
        return [path for path in [database, *side] if path.exists()]

    @contextmanager
    def shared(self, tenant: str, history: str) -> Iterator[Path]:
        """Holds off deletion: inside, the file at the path yielded stays the same file."""
        with self._locked(tenant, history, fcntl.LOCK_SH) as path:
            yield path

    @contextmanager
    def exclusive(self, tenant: str, history: str) -> Iterator[Path]:
        """Holds off everyone, in every process: inside, the file may be unlinked."""
        with self._locked(tenant, history, fcntl.LOCK_EX) as path:
            yield path

    @contextmanager
    def _locked(self, tenant: str, history: str, operation: int) -> Iterator[Path]:
        path = self.database(tenant, history)
        # A few lock files for all histories: they outlive deletion without keeping names.
        shard = hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).hexdigest()[:2]
        folder = self._root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / shard, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, operation)
            yield path
        finally:
            os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Makes the creation or removal of files in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
