"""Whether a PostgreSQL can hold a store, by what it says of itself: nothing is written."""

from __future__ import annotations

from psycopg.rows import DictRow

from budgetmem.store.postgres import schema
from budgetmem.store.postgres.database import Connection, Database

_FACTS = """
    SELECT current_setting('server_version') AS release,
        current_setting('server_encoding') AS encoding,
        pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean
            AS read_only,
        EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') AS extended,
        to_regtype('vector') IS NOT NULL AS visible,
        EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') AS extensible,
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
            OR has_database_privilege(current_database(), 'CREATE') AND EXISTS
                (SELECT FROM pg_available_extension_versions WHERE name = 'vector' AND trusted)
            AS may_extend,
        coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_make
"""

_LACKING = """
    SELECT action || ' on ' || name AS privilege
    FROM unnest(%s::text[]) AS name, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS action
    WHERE NOT has_table_privilege(name, action)
"""

_OWNED = "SELECT pg_has_role(relowner, 'USAGE') AS owned FROM pg_class WHERE oid = %s::regclass"

_TABLES = ["histories", *schema.TABLES, "erasures"]
_MIGRATE = "run `budgetmem store migrate URL` as a role that may make tables"


def looked_at(url: str) -> tuple[str, str]:
    """What was found, and what to do about it, empty if a server can keep histories there.

    Raises StoreUnavailable for a database that does not answer, ConfigError for a malformed URL, a
    store of a newer version, and tables that this role may not read.
    """
    database = Database(url)
    with database.alone() as db:
        db.execute("SET TRANSACTION READ ONLY")
        facts = _row(db, _FACTS)
        version = schema.version(db)
        found = f"{database.name}, PostgreSQL {facts['release']}"
        fault = _fault_of_server(facts) or _fault_of_tables(db, facts, version)
        if fault is not None:
            what, advice = fault
            return f"{found}: {what}", advice
    state = "empty" if version is None else f"version {version}"
    return f"{found}, store: {state}", ""


def _fault_of_server(facts: DictRow) -> tuple[str, str] | None:
    if facts["read_only"]:
        return "it is a standby, or read-only", "name the primary by --store"
    if facts["encoding"] != "UTF8":
        return f"its encoding is {facts['encoding']}", "make a database with UTF8"
    if facts["extended"]:
        hidden = "the extension vector is in a schema that is not searched"
        advice = "put that schema into search_path (in the URL: options=-csearch_path%3D...)"
        return None if facts["visible"] else (hidden, advice)
    if not facts["extensible"]:
        return "its machine lacks the extension pgvector", "install it there"
    advice = "run CREATE EXTENSION vector as a superuser"
    return None if facts["may_extend"] else ("it lacks the extension vector", advice)


def _fault_of_tables(db: Connection, facts: DictRow, version: int | None) -> tuple[str, str] | None:
    if version is None:
        return None if facts["may_make"] else ("there are no tables yet", _MIGRATE)
    if version < schema.VERSION:
        owned = _row(db, _OWNED, "store_version")["owned"]
        old = f"its tables are of version {version}, this program needs {schema.VERSION}"
        return None if owned else (old, _MIGRATE)
    lacking = [row["privilege"] for row in db.execute(_LACKING, (_TABLES,))]
    advice = "GRANT them, or name another role in the URL"
    return (f"this role lacks {', '.join(lacking)}", advice) if lacking else None


def _row(db: Connection, query: str, *values: str) -> DictRow:
    [row] = db.execute(query, values or None)
    return row
