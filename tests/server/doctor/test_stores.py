"""Folders and real databases that can hold histories, and those that cannot."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import count

import pytest

from budgetmem.store.opening import migrated
from server.doctor import stores
from server.doctor.findings import Level
from tests.server.doctor.machines import FINE, found

_names = count()


@pytest.mark.parametrize(
    ("changes", "advice"), [({"sqlite": (3, 31, 0)}, "3.38.0"), ({"fts5": False}, "FTS5")]
)
def test_an_old_sqlite_is_in_the_way_of_a_folder(wanted, changes, advice):
    finding = found(wanted, replace(FINE, **changes))["store"]
    assert finding.level is Level.FAIL
    assert advice in finding.advice


def test_a_folder_that_cannot_be_written_is_named(wanted, monkeypatch, tmp_path):
    monkeypatch.setattr(stores.os, "access", lambda path, mode: False)
    assert "--data-dir" in found(wanted)["store"].advice
    assert str(tmp_path) in found(replace(wanted, store=str(tmp_path)))["store"].found


def test_a_url_of_another_kind_is_told(wanted):
    finding = found(replace(wanted, store="mysql://db/m"))["store"]
    assert finding.level is Level.FAIL
    assert "postgresql://" in finding.found


def test_without_the_libraries_it_is_said_what_to_install(wanted, monkeypatch):
    monkeypatch.setitem(sys.modules, "budgetmem.store.postgres.store", None)
    finding = found(replace(wanted, store="postgresql://db/m"))["store"]
    assert finding.level is Level.FAIL
    assert "pip install 'budgetmem[postgres]'" in finding.found


def test_a_database_that_is_away_fails_without_its_password(wanted):
    pytest.importorskip("psycopg")
    finding = found(replace(wanted, store="postgresql://ana:sesame@127.0.0.1:1/m"))["store"]
    assert finding.level is Level.FAIL
    assert "does not answer" in finding.found
    assert "sesame" not in repr(finding)


@pytest.fixture
def look(wanted):
    """What is found of the store at a URL; SQLite does not matter there."""

    def at(url):
        return found(replace(wanted, store=url), replace(FINE, fts5=False))["store"]

    return at


@pytest.fixture
def sql(postgres):
    import psycopg

    def run(query, url=postgres):
        with psycopg.connect(url, autocommit=True) as db:
            found = db.execute(query)
            return found.fetchall() if found.description else []

    return run


@pytest.fixture
def clerk(sql):
    """A role that may do nothing of itself, and how a URL takes it."""
    name = f"clerk_{next(_names)}"
    sql(f"CREATE ROLE {name}")
    yield name, lambda url: f"{url}%20-crole%3D{name}"
    sql(f"DROP OWNED BY {name}")
    sql(f"DROP ROLE {name}")


def test_an_empty_database_and_one_in_use_are_fine_and_left_alone(look, new_database, sql):
    url = new_database()
    finding = look(url)
    assert (finding.level, finding.advice) == (Level.OK, "")
    assert finding.found.endswith("store: empty")
    assert sql("SELECT to_regclass('store_version')", url) == [(None,)]
    migrated(url)
    assert look(url).found.endswith(f"store: version {migrated(url)[1]}")


def test_a_role_that_may_not_make_tables_is_told_who_may(look, new_database, clerk):
    _, as_clerk = clerk
    finding = look(as_clerk(new_database()))
    assert finding.level is Level.FAIL
    assert "budgetmem store migrate" in finding.advice


def test_a_role_needs_every_right_on_every_table(look, new_database, clerk, sql):
    name, as_clerk = clerk
    url = new_database()
    migrated(url)
    [(schema,)] = sql("SELECT current_schema()", url)
    sql(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
    assert look(as_clerk(url)).level is Level.FAIL  # it cannot read the version
    sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {name}")
    finding = look(as_clerk(url))
    assert finding.level is Level.FAIL
    assert "INSERT on turns" in finding.found
    sql(f"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {name}")
    assert look(as_clerk(url)).level is Level.OK


def test_a_newer_store_is_refused_and_an_older_one_needs_its_owner(look, new_database, clerk, sql):
    name, as_clerk = clerk
    url = new_database()
    migrated(url)
    sql("UPDATE store_version SET version = 99", url)
    assert "newer BudgetMem" in look(url).found
    sql("UPDATE store_version SET version = 0", url)
    assert look(url).level is Level.OK
    [(schema,)] = sql("SELECT current_schema()", url)
    sql(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
    sql(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {name}")
    finding = look(as_clerk(url))
    assert finding.level is Level.FAIL
    assert "budgetmem store migrate" in finding.advice


def test_a_standby_is_no_place_to_write(look, new_database):
    finding = look(f"{new_database()}%20-cdefault_transaction_read_only%3Don")
    assert finding.level is Level.FAIL
    assert "primary" in finding.advice


def test_the_extension_is_there_or_can_be_made(look, new_database, postgres, clerk, sql):
    name, as_clerk = clerk
    database = f"bare_{name}"
    sql(f"CREATE DATABASE {database}")
    bare = postgres.replace("/postgres?", f"/{database}?")
    options = "&options=-csearch_path%3Dpublic"
    try:
        assert look(f"{bare}{options}").level is Level.OK  # a superuser makes it
        finding = look(as_clerk(f"{bare}{options}"))
        assert finding.level is Level.FAIL
        assert finding.advice == "run CREATE EXTENSION vector as a superuser"
    finally:
        sql(f"DROP DATABASE {database}")
    hidden = new_database().replace(",public", "")
    assert "search_path" in look(hidden).advice
