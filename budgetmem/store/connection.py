"""Connections to the SQLite file of a history, and what its faults mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from budgetmem.errors import BudgetMemError, StoreDamaged, StoreUnavailable
from budgetmem.store.base import Busy
from budgetmem.store.rows import Unreadable

_WAIT_SECONDS = 30.0
"""For other writers."""

_READERS_MILLISECONDS = 2000
"""For programs of others that read the file, and keep its log: it may be for hours."""

# By SQLite's own words: Python 3.10 does not tell its codes.
_BUSY = ("database is locked", "database table is locked", "database schema is locked")
_AWAY = (
    "database or disk is full",
    "disk I/O error",
    "unable to open database file",
    "attempt to write a readonly database",
    "locking protocol",
)
_DAMAGED = (
    "no such table",
    "no such column",
    "has no column named",
    "vtable constructor failed",
    "invalid fts5 file format",
    "unsupported file format",
    "malformed JSON",
    "Could not decode to UTF-8",
)
_UNREADABLE = "a row cannot be read"


def connect(path: Path) -> sqlite3.Connection:
    """Opens the file, which is made if need be."""
    db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
    db.row_factory = sqlite3.Row
    try:
        db.execute("PRAGMA journal_mode = WAL")
        # A turn that was acknowledged survives a power cut; NORMAL would lose the last commits.
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")
    except sqlite3.Error:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection, *, waits: bool = True) -> Iterator[None]:
    """All that is written inside, or nothing. `waits`: for another writer to end."""
    if not waits:
        db.execute("PRAGMA busy_timeout = 0")
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        # SQLite has done so itself where the disk is full or broken.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def empty_log(db: sqlite3.Connection) -> bool:
    """Moves the write-ahead log into the file: what was deleted would stay readable there.

    False if another program reads the file, so that its log cannot be emptied.
    """
    db.execute(f"PRAGMA busy_timeout = {_READERS_MILLISECONDS}")
    busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


@contextmanager
def faults(history: str) -> Iterator[None]:
    """What goes wrong with a history's file, as the error it means. Messages quote no rows.

    Busy: somebody holds the file. StoreUnavailable: the disk is full, or does not answer.
    StoreDamaged: the file does not hold what was written into it.
    """
    try:
        yield
    except BlockingIOError as exc:
        raise Busy(f"history {history!r} is busy: somebody reads or writes it") from exc
    except OSError as exc:
        raise unavailable(f"history {history!r}", exc) from exc
    except (Unreadable, UnicodeDecodeError):
        # The latter is SQLite's own, where a message of its quotes damaged bytes.
        raise _damaged(history, _UNREADABLE) from None
    except sqlite3.DatabaseError as exc:
        meant = _meaning(history, exc)
        if meant is None:
            raise
        raise meant from None


def unavailable(what: str, exc: OSError) -> StoreUnavailable:
    """What is said of a disk that fails under `what`."""
    return _unavailable(what, exc.strerror or type(exc).__name__)


def _meaning(history: str, exc: sqlite3.DatabaseError) -> BudgetMemError | None:
    """None for a fault of this program, which nobody foresaw."""
    said = str(exc)
    if _is_one_of(said, _DAMAGED):
        # What was said may quote the row.
        return _damaged(history, _UNREADABLE)
    if type(exc) is sqlite3.DatabaseError:
        return _damaged(history, said)
    if _is_one_of(said, _BUSY):
        return Busy(f"history {history!r} is busy: {said}")
    return _unavailable(f"history {history!r}", said) if _is_one_of(said, _AWAY) else None


def _is_one_of(said: str, messages: tuple[str, ...]) -> bool:
    return any(message in said for message in messages)


def _unavailable(what: str, why: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{what} cannot be read or written ({why}): look after the disk of the "
        "server's data, then try again"
    )


def _damaged(history: str, why: str) -> StoreDamaged:
    return StoreDamaged(
        f"the file of history {history!r} is damaged ({why}): restore it from a backup, or delete "
        "the history, which works all the same, and ingest it again"
    )
