"""The tables in PostgreSQL, and how an older database gets them.

Every row carries its tenant, and a foreign key holds it to the tenant of its history. Nothing made
from a turn outlives the unit it belongs to.
"""

from __future__ import annotations

from psycopg import errors
from psycopg.rows import DictRow

from budgetmem.errors import ConfigError
from budgetmem.store.postgres.database import Connection

# Names are compared byte for byte, as SQLite and Python do; a database's collation would sort
# them by a language.
_MIGRATIONS = (
    """
    CREATE TABLE histories (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL,
        epoch text NOT NULL, settings text,
        UNIQUE (tenant, name), UNIQUE (tenant, id)
    );
    CREATE TABLE sessions (
        tenant text COLLATE "C" NOT NULL, history bigint NOT NULL,
        seq bigint GENERATED ALWAYS AS IDENTITY,
        name text COLLATE "C" NOT NULL, version bigint NOT NULL, started double precision,
        PRIMARY KEY (history, name),
        FOREIGN KEY (tenant, history) REFERENCES histories (tenant, id)
    );
    CREATE TABLE turns (
        tenant text COLLATE "C" NOT NULL, history bigint NOT NULL,
        seq bigint GENERATED ALWAYS AS IDENTITY,
        id text COLLATE "C" NOT NULL, session text NOT NULL, grouped text COLLATE "C" NOT NULL,
        speaker text NOT NULL, text text NOT NULL, time text, instant double precision,
        caption text, metadata text NOT NULL,
        PRIMARY KEY (history, id),
        FOREIGN KEY (tenant, history) REFERENCES histories (tenant, id)
    );
    CREATE INDEX turns_by_session ON turns (history, grouped, seq);
    CREATE TABLE units (
        tenant text COLLATE "C" NOT NULL, history bigint NOT NULL,
        seq bigint GENERATED ALWAYS AS IDENTITY,
        id text COLLATE "C" NOT NULL, session text COLLATE "C" NOT NULL,
        first integer NOT NULL, focus integer, lines text NOT NULL, tokens integer NOT NULL,
        turn_ids text[] NOT NULL,
        PRIMARY KEY (history, id),
        FOREIGN KEY (tenant, history) REFERENCES histories (tenant, id)
    );
    CREATE INDEX units_by_session ON units (history, session);
    CREATE TABLE vectors (
        tenant text COLLATE "C" NOT NULL, history bigint NOT NULL,
        unit text COLLATE "C" NOT NULL, vector vector NOT NULL,
        PRIMARY KEY (history, unit),
        FOREIGN KEY (tenant, history) REFERENCES histories (tenant, id),
        FOREIGN KEY (history, unit) REFERENCES units ON DELETE CASCADE
    );
    CREATE TABLE words (
        tenant text COLLATE "C" NOT NULL, history bigint NOT NULL,
        unit text COLLATE "C" NOT NULL, words text[] COLLATE "C" NOT NULL, length integer NOT NULL,
        PRIMARY KEY (history, unit),
        FOREIGN KEY (tenant, history) REFERENCES histories (tenant, id),
        FOREIGN KEY (history, unit) REFERENCES units ON DELETE CASCADE
    );
    CREATE TABLE erasures (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, line text NOT NULL
    );
    """,
    # What a history takes, counted once here and kept right by its writers, who hold its row.
    """
    ALTER TABLE histories
        ADD COLUMN turns bigint NOT NULL DEFAULT 0, ADD COLUMN bytes bigint NOT NULL DEFAULT 0;
    UPDATE histories SET (turns, bytes) = (
        SELECT count(*), coalesce(sum(
            octet_length(id) + octet_length(speaker) + octet_length(text) + octet_length(session)
            + coalesce(octet_length(time), 0) + coalesce(octet_length(caption), 0)
            + octet_length(metadata)
        ), 0) FROM turns WHERE history = histories.id
    );
    """,
)
"""What makes version 1 of nothing, version 2 of version 1, and so on."""

VERSION = len(_MIGRATIONS)

TABLES = ("turns", "units", "vectors", "words", "sessions")
"""What holds rows of a history, apart from its own."""

_PLACE = """
    SELECT current_schema() AS own, first,
        CASE WHEN first IN ('$user', '"$user"') THEN true
            ELSE to_regnamespace(first) IS NOT NULL END AS there,
        to_regclass(quote_ident(current_schema()) || '.store_version') IS NOT NULL AS found
    FROM (SELECT trim(split_part(current_setting('search_path'), ',', 1)) AS first) AS searched
"""
"""The schema that the tables are in, or would be made in, and the one that is named first."""

_LOCK = 0x62756467657431
"""An advisory lock: replicas that start at once wait for the first one's migrations."""


def migrate(db: Connection) -> int:
    """Brings the tables to VERSION, in the caller's transaction; the version that was found.

    A database that is up to date is only read, so a role that may not change it can serve. Raises
    ConfigError for a database of a newer version, or that cannot hold a store.
    """
    if (found := version(db)) == VERSION:
        return found
    try:
        _prepare(db)
        found = version(db) or 0
        for statements in _MIGRATIONS[found:]:
            db.execute(statements)
        db.execute("UPDATE store_version SET version = %s", (VERSION,))
    except errors.InsufficientPrivilege as exc:
        raise ConfigError(
            f"the database has to be prepared by a role that may: {exc.diag.message_primary}; "
            "run `budgetmem store migrate`, and CREATE EXTENSION vector if it is about that"
        ) from exc
    return found


def version(db: Connection) -> int | None:
    """None where there is no store. Raises ConfigError for a newer version, and for a schema that
    is not there: the tables would be made, or found, in the next one of the search path."""
    place = _one(db, _PLACE)
    if place["own"] is None or not place["there"]:
        raise ConfigError(
            f"the database has no schema {place['first'] or 'to search'} that this role may use: "
            "CREATE SCHEMA makes it, search_path in the URL's options names it"
        )
    if not place["found"]:
        return None
    found = int(_one(db, "SELECT version FROM store_version")["version"])
    check_version(found)
    return found


def check_version(found: int) -> None:
    """Raises ConfigError for a newer version than this code knows."""
    if found > VERSION:
        raise ConfigError(
            "the database was written by a newer BudgetMem "
            f"(store version {found}, this one knows {VERSION})"
        )


def _prepare(db: Connection) -> None:
    if (encoding := _one(db, "SHOW server_encoding")["server_encoding"]) != "UTF8":
        raise ConfigError(f"the database has the encoding {encoding}: make one with UTF8")
    # Writers give up after a while; who starts waits for the migrations, however long they take.
    db.execute("SET LOCAL lock_timeout = 0")
    db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    try:
        db.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except (errors.UndefinedFile, errors.FeatureNotSupported) as exc:
        raise ConfigError("the server lacks the extension pgvector: install it there") from exc
    db.execute("CREATE TABLE IF NOT EXISTS store_version (version integer NOT NULL)")
    db.execute("INSERT INTO store_version SELECT 0 WHERE NOT EXISTS (SELECT FROM store_version)")


def _one(db: Connection, query: str) -> DictRow:
    row = db.execute(query).fetchone()
    if row is None:
        raise ConfigError("the table store_version is empty: this is no store of BudgetMem")
    return row
