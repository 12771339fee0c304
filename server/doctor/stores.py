"""Whether histories can be kept: in a folder by SQLite, or in a PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from budgetmem.errors import ConfigError, StoreUnavailable
from budgetmem.store.opening import is_url, postgres_store
from server.doctor.findings import Finding, Level, Wanted
from server.doctor.machine import Machine, nearest_folder

SQLITE = (3, 38, 0)
"""Where JSON functions came to every build; the store needs them, and RETURNING (3.35)."""


def store(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    """Whether the store that is named can be written to."""
    try:
        if wanted.store is None or not is_url(wanted.store):
            yield _folder(Path(wanted.store or wanted.data_dir).expanduser(), machine)
        else:
            yield _database(wanted.store)
    except (ConfigError, StoreUnavailable) as exc:
        yield Finding("store", Level.FAIL, str(exc))


def _folder(place: Path, machine: Machine) -> Finding:
    version = ".".join(map(str, machine.sqlite))
    if machine.sqlite < SQLITE or not machine.fts5:
        advice = f"the store needs {'.'.join(map(str, SQLITE))} with FTS5: use a newer Python build"
        found = f"SQLite {version}, FTS5: {'yes' if machine.fts5 else 'no'}"
        return Finding("store", Level.FAIL, found, advice)
    folder = nearest_folder(place)
    if not os.access(folder, os.W_OK | os.X_OK):
        advice = "name a folder of yours by --data-dir (BUDGETMEM_DATA_DIR) or --store"
        return Finding("store", Level.FAIL, f"{folder} cannot be written", advice)
    return Finding("store", Level.OK, f"SQLite {version}, {place}")


def _database(url: str) -> Finding:
    postgres_store()  # says what to install, where its libraries are not
    from server.doctor.database import looked_at  # noqa: PLC0415 - it imports them

    found, advice = looked_at(url)
    return Finding("store", Level.FAIL if advice else Level.OK, found, advice)
