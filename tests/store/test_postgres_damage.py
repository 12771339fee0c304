"""What PostgreSQL says of its own faults, and what it means: damage, an outage, or neither.

The pages are damaged for real, in the files of the server that the tests start.
"""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest

from budgetmem.errors import StoreDamaged, StoreUnavailable
from budgetmem.store.opening import opened
from tests.store.making import EAST, SETTINGS, change

psycopg = pytest.importorskip("psycopg")

from budgetmem.store.postgres.database import Database  # noqa: E402
from budgetmem.store.postgres.store import PostgresStore  # noqa: E402

PAGE = 8192
SECRET = "a text of somebody"


@pytest.fixture
def url(new_database):
    return new_database()


@pytest.fixture
def store(url):
    with opened(url) as store:
        store.write("t", "h", None, SETTINGS, [change("a", [SECRET])])
        yield store


def spoil(url, index, byte):
    """Writes over an index on the disk, while no page of it is in the server's memory."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"REINDEX INDEX {index}")
        [(folder, file)] = db.execute(
            "SELECT current_setting('data_directory'), pg_relation_filepath(%s)", (index,)
        ).fetchall()
    pages = Path(folder) / file
    size = pages.stat().st_size
    assert size >= PAGE
    with pages.open("r+b") as opened_file:
        opened_file.write(byte * size)


CALLS = {
    "info": lambda store: store.info("t", "h"),
    "turns": lambda store: list(store.turns("t", "h")),
    "snapshot": lambda store: store.snapshot("t", "h", ["a"], ["a0"]),
    "write": lambda store: store.write(
        "t", "h", store.snapshot("t", "h", [], []).epoch, SETTINGS, [change("b", ["y"])]
    ),
    "delete": lambda store: store.delete("t", "h"),
}


@pytest.mark.parametrize(
    ("byte", "said"),
    [(b"\xa5", "invalid page in block 0"), (b"\0", "unexpected zero page at block 0")],
    ids=["DataCorrupted", "IndexCorrupted"],
)
def test_a_damaged_page_is_damage_and_not_a_reason_to_try_again(store, url, byte, said):
    spoil(url, "turns_pkey", byte)
    for name, call in CALLS.items():
        with pytest.raises(
            StoreDamaged, match=rf"^postgresql://.* is damaged \(.*{said}"
        ) as caught:
            call(store)
        assert "from a backup" in str(caught.value), name
        assert SECRET not in f"{caught.value} {caught.value.__cause__}"


def test_what_does_not_need_the_page_goes_on(store, url):
    spoil(url, "vectors_pkey", b"\xa5")
    assert [turn.text for turn in store.turns("t", "h")] == [SECRET]
    with pytest.raises(StoreDamaged, match="is damaged"):
        store.search("t", "h", EAST, [], 5)


def test_a_statement_that_was_cut_off_is_worth_a_retry(url):
    with closing(Database(url)) as database:
        database.open()
        with pytest.raises(StoreUnavailable, match="statement timeout"), database.reading() as db:
            db.execute("SET LOCAL statement_timeout = 1; SELECT pg_sleep(60)")


def test_a_limit_of_postgresql_is_not(url):
    endless = random.Random(1).randbytes(9000).hex()
    with closing(PostgresStore(url)) as store, pytest.raises(psycopg.errors.ProgramLimitExceeded):
        store.write("t", "h", None, SETTINGS, [change(endless, ["x"])])
