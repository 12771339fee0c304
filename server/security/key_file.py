"""The file of API keys: records and hashes, never a key."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from budgetmem.errors import ConfigError
from budgetmem.info import Limits
from budgetmem.store.paths import sync_folder
from server.security.principal import Scope


class KeyRecord(BaseModel):
    """What is kept of a key. `sha256` is of the whole key; times have an offset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    tenant: Annotated[str, Field(min_length=1, max_length=Limits.name_bytes)]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    created: AwareDatetime
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None
    note: str = ""

    def state(self, now: datetime) -> Literal["active", "expired", "revoked"]:
        """Only an active key is valid."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"


Keys = tuple[KeyRecord, ...]


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    keys: Keys = ()


def read_keys(path: Path, *, anyones: bool = False) -> Keys:
    """The records in the file, none where there is no file.

    Raises ConfigError for one that is malformed, or that others may write to: whoever can, makes
    keys for every tenant. So can its owner, who has to be root or the user of this process, unless
    `anyones` is set: for who does not let anybody in by the file.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            content = file.read()
    except FileNotFoundError:
        return ()
    except OSError as exc:
        raise ConfigError(f"cannot read the API keys: {path}: {exc.strerror}") from exc
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"{path} may be written to by others: run chmod 600 {path}")
    if not anyones and found.st_uid not in {0, os.geteuid()}:
        raise ConfigError(
            f"{path} belongs to the user with the number {found.st_uid}, who may write to it: run "
            f"chown {os.geteuid()} {path}"
        )
    try:
        return _Content.model_validate_json(content).keys
    except ValidationError as exc:
        places = {".".join(map(str, error["loc"])) or "the file" for error in exc.errors()}
        raise ConfigError(
            f"{path} is not a file of API keys: look at {', '.join(sorted(places))}"
        ) from exc


def change_keys(path: Path, change: Callable[[Keys], Keys]) -> Keys:
    """Replaces the records by what `change` makes of them, whole or not at all; returns them.

    Processes take turns. A new file is the owner's alone, one that was there keeps its owner and
    its mode. Raises what `read_keys` and `change` raise, and ConfigError where it cannot be
    written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _turn(path.parent):
            # Root changes the file of a server's user; it stays that user's.
            keys = change(read_keys(path, anyones=True))
            _write(path, _Content(keys=keys).model_dump_json(indent=2).encode() + b"\n")
    except OSError as exc:
        raise ConfigError(f"cannot write the API keys: {path}: {exc.strerror}") from exc
    return keys


def _write(path: Path, content: bytes) -> None:
    # mkstemp makes it with mode 600.
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            _keep_readers(descriptor, path)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
    sync_folder(path.parent)


def _keep_readers(descriptor: int, path: Path) -> None:
    """Who could read the file before still can: a server that cannot goes on with its old keys, of
    which one may just have been revoked."""
    try:
        old = path.stat()
    except FileNotFoundError:
        return
    mode = stat.S_IMODE(old.st_mode)
    try:
        os.fchown(descriptor, old.st_uid, old.st_gid if mode & stat.S_IRWXG else -1)
    except PermissionError as exc:
        raise ConfigError(
            f"{path} belongs to the user with the number {old.st_uid}, as whom a server reads it: "
            "run this as that user, or as root"
        ) from exc
    os.fchmod(descriptor, mode)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    # The folder itself is locked: a lock on the file would be on the one that is replaced.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
