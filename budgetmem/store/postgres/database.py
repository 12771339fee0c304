"""Connections to a PostgreSQL: where it is, a pool, transactions, and what their faults mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from pgvector.psycopg import register_vector
from psycopg import IsolationLevel, conninfo, errors
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from budgetmem.errors import ConfigError, StoreDamaged, StoreUnavailable
from budgetmem.store.base import Busy

Connection: TypeAlias = "psycopg.Connection[DictRow]"

POOL = 8
"""Connections of a process at most."""

AWAY = (
    psycopg.OperationalError,
    errors.IdleInTransactionSessionTimeout,
    errors.ReadOnlySqlTransaction,
)
"""The database is away, has cut off this process or its statement, or has become a standby: the
same call may succeed later."""

_DAMAGED = (errors.DataCorrupted, errors.IndexCorrupted)

_WAIT_SECONDS = 10.0
"""For a connection."""

_SETTINGS = {
    "application_name": "budgetmem",
    "connect_timeout": 10,
    # A connection whose other end has gone without a word is noticed within a minute.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    # A replica that hangs in the middle of a write is not waited for.
    "options": "-c lock_timeout=5s -c idle_in_transaction_session_timeout=60s",
}

_HARDLY = "SET LOCAL lock_timeout = '10ms'"
"""For who has a thread that others wait for."""


class Database:
    """A pool of connections to the database at `url`, opened by `open` and closed by `close`.

    The `options` of the URL come after these settings, and win. Without `waits`, those who write
    hardly wait for somebody else's lock.
    """

    def __init__(self, url: str, *, waits: bool = True) -> None:
        self.name = shown(url)
        self._waits = waits
        self._conninfo = with_settings(url)
        self._pool = ConnectionPool(
            self._conninfo,
            connection_class=psycopg.Connection[DictRow],
            kwargs={"row_factory": dict_row},
            min_size=1,
            max_size=POOL,
            timeout=_WAIT_SECONDS,
            open=False,
            configure=_configure,
            # One that the server closed meanwhile is replaced, not used.
            check=ConnectionPool.check_connection,
            name="budgetmem",
        )

    def open(self) -> None:
        """Raises StoreUnavailable for a database that cannot be reached."""
        with self._faults():
            self._pool.open(wait=True, timeout=_WAIT_SECONDS)

    def close(self) -> None:
        """Closes all connections."""
        self._pool.close()

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A transaction on a connection of its own: the pool's need the extension, this one may
        make it."""
        with (
            self._faults(),
            psycopg.Connection[DictRow].connect(self._conninfo, row_factory=dict_row) as db,
        ):
            yield db

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database, and changes nothing."""
        with self._transaction() as db:
            db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield db

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction; what others committed while it waited for a lock, it sees. Raises Busy
        where somebody holds one for too long."""
        with self._transaction() as db:
            if not self._waits:
                db.execute(_HARDLY)
            yield db

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._faults(), self._pool.connection() as db, db.transaction():
            yield db

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Messages name the database, and never quote values of rows."""
        try:
            yield
        except (errors.LockNotAvailable, errors.DeadlockDetected) as exc:
            raise Busy("the history is busy: another writer holds it") from exc
        except (errors.UndefinedTable, errors.InsufficientPrivilege) as exc:
            raise ConfigError(f"{self.name}: {exc.diag.message_primary}") from exc
        except _DAMAGED as exc:
            raise StoreDamaged(
                f"{self.name} is damaged ({_first_line(exc)}): restore it from a backup, or "
                "REINDEX if it is an index alone"
            ) from exc
        except errors.ProgramLimitExceeded:
            # One of AWAY to psycopg, but no retry passes a limit of PostgreSQL's own.
            raise
        except AWAY as exc:
            raise StoreUnavailable(f"{self.name} does not answer: {_first_line(exc)}") from exc


def shown(url: str) -> str:
    """The URL for people and logs: without password and options. Raises ConfigError for what is
    none, and does not quote it."""
    parts = _parts(url)
    user = f"{parts['user']}@" if "user" in parts else ""
    port = f":{parts['port']}" if "port" in parts else ""
    return f"postgresql://{user}{parts.get('host', '')}{port}/{parts.get('dbname', '')}"


def _parts(url: str) -> dict[str, Any]:
    try:
        return conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # Its message quotes the URL, and the password may be in it.
        raise ConfigError(
            "the store's URL is malformed: write postgresql://USER@HOST:PORT/DATABASE"
        ) from None


def with_settings(url: str) -> str:
    """What to connect by: the URL, and the settings of every connection."""
    parts = _parts(url)
    options = f"{_SETTINGS['options']} {parts.pop('options', '')}".rstrip()
    return conninfo.make_conninfo(**{**_SETTINGS, **parts, "options": options})


def _configure(db: Connection) -> None:
    # Committed is what is on the server's disk, whatever its configuration says.
    db.execute("SET synchronous_commit = on")
    register_vector(db)
    db.commit()
    db.isolation_level = IsolationLevel.READ_COMMITTED


def _first_line(exc: psycopg.Error) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0]
