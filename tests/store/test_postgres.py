"""What PostgreSQL promises beyond the protocol: passwords, versions, replicas, lost connections."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import datetime

import numpy as np
import pytest

from budgetmem.backbone import HashEncoder
from budgetmem.config import RetrievalProfile
from budgetmem.errors import (
    ConfigError,
    Conflict,
    HistoryFull,
    InvalidInput,
    NotFound,
    StoreUnavailable,
)
from budgetmem.history import Histories
from budgetmem.store.base import Size
from budgetmem.store.opening import migrated, opened
from budgetmem.types import Turn
from server.stores import WAITERS, opened_store
from tests.store.making import SETTINGS, change

psycopg = pytest.importorskip("psycopg")

from budgetmem.store.postgres import changes, queries  # noqa: E402
from budgetmem.store.postgres.database import shown  # noqa: E402
from budgetmem.store.postgres.erasures import erased  # noqa: E402
from budgetmem.store.postgres.schema import TABLES, VERSION  # noqa: E402
from budgetmem.store.postgres.store import PostgresStore  # noqa: E402


@pytest.fixture
def url(new_database):
    return new_database()


@pytest.fixture
def store(url):
    with opened(url) as store:
        yield store


@pytest.fixture
def sql(url):
    with psycopg.connect(url, autocommit=True) as db:
        yield lambda query: db.execute(query).fetchall()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://ana:sesame@db:5433/memory", "postgresql://ana@db:5433/memory"),
        ("postgresql://db/memory?password=sesame", "postgresql://db/memory"),
        ("postgres://", "postgresql:///"),
    ],
)
def test_a_password_is_not_shown(url, name):
    assert shown(url) == name


@pytest.mark.parametrize("url", ["postgresql://ana:sesame@[db", "postgresql://a:sesame@b?x=y"])
def test_a_malformed_url_is_not_quoted(url):
    with pytest.raises(ConfigError, match="malformed") as caught:
        PostgresStore(url)
    assert caught.value.__cause__ is None
    assert "sesame" not in str(caught.value)


def test_a_database_that_is_away_is_said_without_the_password(caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreUnavailable, match=r"^postgresql://ana@127.0.0.1:1/m does not") as away:
        PostgresStore("postgresql://ana:sesame@127.0.0.1:1/m")
    assert "sesame" not in f"{away.value!r} {away.value.__cause__!r} {caplog.text}"


def test_without_the_libraries_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "budgetmem.store.postgres.store", None)
    with (
        pytest.raises(ConfigError, match=r"pip install 'budgetmem\[postgres\]'"),
        opened("postgresql://db/m"),
    ):
        pass


def test_replicas_that_start_at_once_make_the_tables_once(url, sql):
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(migrated, [url] * 6))
    assert sorted(found) == [(0, VERSION)] + [(VERSION, VERSION)] * 5
    assert sql("SELECT version FROM store_version") == [(VERSION,)]


def test_a_schema_of_its_own_is_another_store(url, new_database):
    with opened(url) as store:
        store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    [theirs] = re.findall(r"%3D(\w+),", url)
    apart = new_database().replace(",public", f",{theirs},public")
    assert migrated(apart) == (0, VERSION)
    with opened(apart) as store:
        assert list(store.histories("t")) == []
    with opened(url) as store:
        assert list(store.histories("t")) == ["h"]


@pytest.mark.parametrize("path", ["memory,{own}", "memory"])
def test_a_schema_that_is_not_there_is_not_replaced_by_the_next(url, path):
    migrated(url)
    [own] = re.findall(r"%3D(\w+,public)", url)
    elsewhere = url.replace(own, path.format(own=own))
    for call in (migrated, PostgresStore):
        with pytest.raises(ConfigError, match="no schema memory that this role"):
            call(elsewhere)


def test_a_newer_version_is_refused_by_every_call(store, url, sql):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    sql("UPDATE store_version SET version = 99 RETURNING version")
    with pytest.raises(ConfigError, match=r"newer BudgetMem \(store version 99"):
        PostgresStore(url)
    for call in (store.turns, store.info, store.delete, store.contents):
        with pytest.raises(ConfigError, match="newer BudgetMem"):
            call("t", "h")
    with pytest.raises(ConfigError, match="newer BudgetMem"):
        list(store.histories("t"))


def test_a_role_that_may_not_change_the_database_can_serve_it_once_it_is_ready(url, sql):
    [(schema,)] = sql("SELECT current_schema()")
    role = f"{schema}_role"
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE ROLE {role} LOGIN")
        db.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    theirs = url.replace("postgres:@", f"{role}:@")
    assert theirs != url
    with pytest.raises(ConfigError, match="budgetmem store migrate"):
        PostgresStore(theirs)
    migrated(url)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}")
        db.execute(f"REVOKE INSERT, UPDATE, DELETE ON store_version FROM {role}")
    with opened(theirs) as store:
        store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
        assert list(store.histories("t")) == ["h"]
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"DROP OWNED BY {role}")
        db.execute(f"DROP ROLE {role}")


def test_deletion_leaves_no_row_and_takes_nobody_elses(store, sql):
    for tenant, history in (("t", "h"), ("t", "k"), ("u", "h")):
        store.write(tenant, history, None, SETTINGS, [change("a", ["x", "y"]), change("b", ["z"])])
    proof = store.delete("t", "h")
    assert (proof.turns, proof.chunks, proof.vectors, proof.remaining) == (3, 3, 3, 0)
    for table in TABLES:
        left = sql(f"SELECT tenant, count(*) FROM {table} GROUP BY tenant ORDER BY tenant")
        assert left == [("t", 2 if table == "sessions" else 3), ("u", left[0][1])]
    assert sql("SELECT tenant, name FROM histories ORDER BY id") == [("t", "k"), ("u", "h")]


@pytest.mark.parametrize("table", TABLES)
def test_no_row_can_be_another_tenants_than_its_history(store, sql, table):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        sql(f"UPDATE {table} SET tenant = 'u' RETURNING tenant")


SIZES = "SELECT id, turns, bytes FROM histories ORDER BY id"
SCANNED = (
    "SELECT history, count(*), sum(octet_length(concat(id, speaker, text, session, time, caption,"
    " metadata))) FROM turns GROUP BY history ORDER BY history"
)


def histories(store, most=None):
    return Histories(store, HashEncoder(), RetrievalProfile(), most=most)


def turn(number, session="s", text="hello"):
    return Turn(f"t{number:03}", "Ana", text, session=session)


async def test_sizes_follow_every_change(store, sql):
    kept = histories(store)
    dated = Turn("t9", "Ana", "🙂", datetime(2023, 5, 8), "s", "a map", {"k": "é"})
    for history in ("trip", "home"):
        await kept.ingest("acme", history, [turn(0, text="héllo"), turn(1, text="日本語"), dated])
        await kept.ingest("acme", history, [turn(0, text="héllo"), turn(2)])
    assert sql(SIZES) == sql(SCANNED)
    await asyncio.gather(
        *(kept.ingest("acme", "trip", [turn(n, f"s{n % 3}")]) for n in range(3, 12)),
        kept.delete_turns("acme", "trip", ["t9", "t001", "nowhere"]),
    )
    assert sql(SIZES) == sql(SCANNED)
    await kept.reindex("acme", "trip")
    await kept.delete("acme", "home")
    await kept.ingest("acme", "home", [turn(0)])
    assert sql(SIZES) == sql(SCANNED)
    assert [turns for _, turns, _ in sql(SIZES)] == [11, 1]


async def test_a_database_without_sizes_gets_them(store, url, sql):
    for history in ("trip", "home"):
        await histories(store).ingest("acme", history, [turn(0, text="héllo"), turn(1)])
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("ALTER TABLE histories DROP COLUMN turns, DROP COLUMN bytes")
        db.execute("UPDATE store_version SET version = 1")
    assert migrated(url) == (1, VERSION)
    assert sql(SIZES) == sql(SCANNED)
    with pytest.raises(HistoryFull, match="would hold 3 turns"):
        await histories(store, Size(2, 10**9)).ingest("acme", "trip", [turn(2)])


ROWS_READ = (
    "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables"
    " WHERE schemaname = current_schema() AND relname = 'turns'"
)


async def test_no_ingest_reads_the_turns_that_are_there(url, sql):
    async def rows_read(numbers):
        """Until now, with ingests of a turn each in sessions of their own."""
        # A table as small as this one would be read whole, whatever the query.
        with opened(f"{url}%20-cenable_seqscan%3Doff") as store:
            for number in numbers:
                some = [turn(number, f"s{number}")]
                await histories(store, Size(10**9, 10**9)).ingest("acme", "trip", some)
        # What a connection counted is told when it has ended.
        while sql("SELECT FROM pg_stat_activity WHERE application_name = 'budgetmem'"):
            await asyncio.sleep(0.01)
        [(rows,)] = sql(ROWS_READ)
        return rows

    with opened(url) as store:
        await histories(store).ingest("acme", "trip", [turn(n, f"s{n}") for n in range(300)])
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("ANALYZE turns")
    before = await rows_read([])
    assert await rows_read(range(300, 330)) - before < 300


END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'"


class Cut(list):
    """Changes after the first of which the server ends all connections."""

    def __init__(self, changes, cut):
        super().__init__(changes)
        self.cut = cut

    def __iter__(self):
        first, *others = super().__iter__()
        yield first
        self.cut()
        yield from others


def test_a_write_whose_connection_is_lost_left_nothing_and_can_be_made_again(store, sql):
    both = [change("a", ["x"]), change("b", ["y"])]
    with pytest.raises(StoreUnavailable, match="does not answer"):
        store.write("t", "h", None, SETTINGS, Cut(both, lambda: sql(END.format("budgetmem"))))
    assert list(store.histories("t")) == []
    assert store.snapshot("t", "h", [], []).epoch is None
    store.write("t", "h", None, SETTINGS, both)
    assert store.info("t", "h").turns == 2


def test_a_deletion_whose_scan_loses_its_connection_has_told_what_went(store, sql, monkeypatch):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    remaining, told = queries.remaining, []

    def cut(*of):
        sql(END.format("budgetmem"))
        return remaining(*of)

    monkeypatch.setattr(queries, "remaining", cut)
    with pytest.raises(StoreUnavailable, match="does not answer"):
        store.delete("t", "h", told.append)
    assert [proof.turns for proof in told] == [1]
    assert list(store.histories("t")) == []


def test_a_replica_that_hangs_in_a_write_is_cut_off(store, sql, monkeypatch):
    apply_all = changes.apply_all

    def hang(db, of, some):
        apply_all(db, of, some)
        db.execute("SET idle_in_transaction_session_timeout = 1")
        while sql("SELECT FROM pg_stat_activity WHERE state = 'idle in transaction'"):
            pass
        db.execute("SELECT 1")

    with monkeypatch.context() as slow:
        slow.setattr(changes, "apply_all", hang)
        with pytest.raises(StoreUnavailable, match="does not answer"):
            store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    assert list(store.histories("t")) == []


async def test_a_replica_that_did_not_hear_forgets_everybody(url, sql):
    async with aclosing(erased(url, patience_s=0)) as heard:
        assert await anext(heard) is None
        sql(END.format("budgetmem-erasures"))
        assert await anext(heard) is None


async def test_a_standby_is_waited_for_and_listens_by_the_settings_of_all(url, caplog):
    asked = []

    class Standby:
        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            return None

        async def execute(self, statement):
            raise psycopg.errors.ReadOnlySqlTransaction("cannot execute LISTEN during recovery")

    async def connect(conninfo, **options):
        asked.append(psycopg.conninfo.conninfo_to_dict(conninfo))
        if len(asked) == 1:
            return Standby()
        return await psycopg.AsyncConnection.connect(conninfo, **options)

    async with aclosing(erased(url, patience_s=0, connect=connect)) as heard:
        assert await anext(heard) is None
    assert len(asked) == 2
    assert asked[0]["connect_timeout"] == "10"
    assert asked[0]["keepalives_idle"] == "30"
    assert "during recovery" in caplog.text


def test_a_history_that_somebody_holds_is_a_conflict_and_can_be_read(store, url):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    epoch = store.snapshot("t", "h", [], []).epoch
    with (
        psycopg.connect(url) as holder,
        opened(f"{url}%20-clock_timeout%3D50ms") as hasty,
    ):
        holder.execute("SELECT FROM histories FOR UPDATE")
        with pytest.raises(Conflict, match="busy"):
            hasty.write("t", "h", epoch, SETTINGS, [change("b", ["y"])])
        assert hasty.info("t", "h").turns == 1


async def test_one_tenants_history_that_is_held_keeps_no_thread_from_others(url):
    with psycopg.connect(url) as holder, opened_store(url) as ours:
        kept = Histories(ours.store, HashEncoder(), RetrievalProfile(), threads=ours.threads)
        for tenant in ("held", "free"):
            await kept.ingest(tenant, "h", [Turn("t0", "Ana", "Hello.")])
        holder.execute("SELECT FROM histories WHERE tenant = 'held' FOR UPDATE")
        waiting = [
            asyncio.create_task(
                kept.ingest("held", "h", [Turn(f"x{i}", "Ana", "Hi.", None, f"{i}")])
            )
            for i in range(2 * WAITERS)
        ]
        await asyncio.sleep(0.2)
        # Whoever waited on a thread would keep it for the 5 s of other programs.
        await asyncio.wait_for(kept.ingest("free", "h", [Turn("t1", "Ana", "Still here.")]), 4)
        assert not any(task.done() for task in waiting)
        holder.rollback()
        await asyncio.gather(*waiting)
        assert (await kept.info("held", "h")).turns == 1 + 2 * WAITERS


def test_names_and_ids_with_nul_are_refused_or_found_nowhere(store):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    with pytest.raises(InvalidInput, match="history: contains a NUL"):
        store.info("t", "h\0")
    assert store.traces("t", "h", ["\0"]) == 0
    assert store.snapshot("t", "h", [], ["\0"]).known == {}
    assert store.sessions_of("t", "h", ["\0"]) == []


def test_it_waits_for_no_database_that_was_closed(url):
    with opened(url) as store:
        pass
    with pytest.raises(StoreUnavailable):
        list(store.histories("t"))


def test_a_vector_of_another_length_is_passed_over(store):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    assert store.search("t", "h", np.ones(3, np.float32), [], 5).dense == ()
    with pytest.raises(NotFound):
        store.search("t", "k", np.ones(3, np.float32), [], 5)
