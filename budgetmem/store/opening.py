"""Which store a path or URL means."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from budgetmem.errors import ConfigError
from budgetmem.store.base import Store
from budgetmem.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from budgetmem.store.postgres.store import PostgresStore

SCHEMES = ("postgresql://", "postgres://")


def is_url(where: str) -> bool:
    """Whether a database is meant. Raises ConfigError for a URL of another kind."""
    if where.startswith(SCHEMES):
        return True
    if "://" in where:
        scheme = where.split("://", maxsplit=1)[0]
        raise ConfigError(
            f"no store of the kind {scheme}://: name a folder (SQLite), or postgresql://..."
        )
    return False


@contextmanager
def opened(where: str) -> Iterator[Store]:
    """The store in a folder, which is made if need be, or in the database of a URL.

    Raises ConfigError for what is neither, and where PostgreSQL's libraries are not installed;
    StoreUnavailable for a database that cannot be reached.
    """
    if not is_url(where):
        yield SqliteStore(Path(where).expanduser())
        return
    with closing(postgres_store()(where)) as store:
        yield store


def migrated(url: str) -> tuple[int, int]:
    """Brings the tables of a database to this version; the version before (0: none), and now.

    Raises ConfigError as `opened` does, and for what is no URL of a database.
    """
    if not is_url(url):
        raise ConfigError(f"{url!r} is no URL of a database; a folder needs no preparation")
    return postgres_store().prepare(url)


def erased_elsewhere(url: str) -> AsyncGenerator[str | None, None]:
    """Tenants of whom any process erases something in the database; see `postgres.erasures`."""
    from budgetmem.store.postgres.erasures import erased  # noqa: PLC0415 - as below

    return erased(url)


def postgres_store() -> type[PostgresStore]:
    """The store's class. Raises ConfigError if its libraries are not installed."""
    try:
        # Not everybody has them, or wants to wait for their import.
        from budgetmem.store.postgres.store import PostgresStore  # noqa: PLC0415
    except ImportError as exc:
        raise ConfigError(
            f"a store in PostgreSQL needs more libraries ({exc}): pip install 'budgetmem[postgres]'"
        ) from exc
    return PostgresStore
