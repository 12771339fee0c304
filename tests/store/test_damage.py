"""Files that are damaged, disks that are full: who is told what, and that all can be deleted."""

from __future__ import annotations

import random
import resource
import sqlite3
from contextlib import closing, contextmanager

import pytest

from budgetmem.backbone import HashEncoder
from budgetmem.config import RetrievalProfile
from budgetmem.errors import BudgetMemError, StoreDamaged, StoreUnavailable
from budgetmem.history import Histories
from budgetmem.pieces import AT_ONCE
from budgetmem.store import connection, rows
from budgetmem.store.paging import PAGE_TURNS
from budgetmem.store.sqlite import SqliteStore
from budgetmem.types import Turn
from server.engine import overview
from tests.store.making import EAST, SETTINGS, change

PAGE = 4096
SECRET = "xylophonesecret"


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path)
    store.write("t", "good", None, SETTINGS, [change("a", ["hello"])])
    texts = [f"{SECRET} {number} " * 8 for number in range(60)]
    store.write("t", "bad", None, SETTINGS, [change("a", texts)])
    return store


def spoil(tmp_path, start, what):
    file = tmp_path / "t" / "bad.db"
    kept = file.read_bytes()
    file.write_bytes(kept[:start] + what + kept[start + len(what) :])


def on_disk(folder):
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


CALLS = {
    "histories": lambda store: list(store.histories("t")),
    "info": lambda store: store.info("t", "bad"),
    "turns": lambda store: list(store.turns("t", "bad")),
    "contents": lambda store: store.contents("t", "bad"),
    "snapshot": lambda store: store.snapshot("t", "bad", ["a"], ["a0"]),
    "sessions_of": lambda store: store.sessions_of("t", "bad", ["a0"]),
    "size_of": lambda store: store.size_of("t", "bad", ["a"], ["a0"]),
    "search": lambda store: store.search("t", "bad", EAST, ["hello"], 5),
    "vectors": lambda store: store.vectors("t", "bad", ["x"]),
    "traces": lambda store: store.traces("t", "bad", ["a0"]),
    "write": lambda store: store.write("t", "bad", "an epoch", SETTINGS, [change("b", ["y"])]),
}


@pytest.mark.parametrize("place", [0, 16, 100], ids=["name", "layout", "schema"])
def test_a_damaged_header_concerns_its_own_history_alone(store, tmp_path, place):
    spoil(tmp_path, place, b"\xa5" * 60)
    assert list(store.histories("t")) == ["bad", "good"], "it is there, and can be named"
    for call in ("info", "turns", "write"):
        with pytest.raises(StoreDamaged, match=r"history 'bad' is damaged.*delete the history"):
            CALLS[call](store)
    assert next(store.turns("t", "good")).text == "hello"
    proof = store.delete("t", "bad")
    assert (proof.histories, proof.turns, proof.remaining) == (1, 0, 0)
    assert list(store.histories("t")) == ["good"]
    assert SECRET.encode() not in on_disk(tmp_path)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_written_over_a_file_it_can_be_named_and_deleted(store, tmp_path, seed):
    """Nothing but our own errors is raised, none quotes a row, and nothing of it is left."""
    noise = random.Random(seed)
    pages = (tmp_path / "t" / "bad.db").stat().st_size // PAGE
    for _ in range(noise.choice([1, 3])):
        start = noise.randrange(pages) * PAGE + noise.choice([0, 8, 2000])
        spoil(tmp_path, start, noise.randbytes(noise.choice([8, 60, 2000])))
    raised = []
    for call in CALLS.values():
        try:
            call(store)
        except BudgetMemError as exc:
            raised.append(f"{exc} {exc.__cause__}")
    assert SECRET not in "".join(raised)
    assert "good" in store.histories("t")
    if "bad" in store.histories("t"):
        assert store.delete("t", "bad").remaining == 0
        assert SECRET.encode() not in on_disk(tmp_path)


@pytest.mark.parametrize(
    ("call", "column"),
    [
        ("turns", "turns.text = 5"),
        ("turns", "turns.time = 'soon'"),
        ("turns", f"turns.metadata = '{SECRET}'"),
        ("turns", "turns.metadata = '5'"),
        ("search", f"units.lines = '[[\"{SECRET}\"]]'"),
        ("contents", "units.vector = 'xyz'"),
        ("info", "meta.value = 'x'"),
    ],
)
def test_a_row_that_does_not_say_what_was_written_is_damage(store, tmp_path, call, column):
    table, change = column.split(".", maxsplit=1)
    with closing(sqlite3.connect(tmp_path / "t" / "bad.db", isolation_level=None)) as db:
        # As it would look on the disk: a column that is declared TEXT makes "5" of a 5.
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, 'text TEXT', 'text BLOB')")
        db.execute("PRAGMA writable_schema = RESET")
        db.execute(f"UPDATE {table} SET {change}")
    with pytest.raises(StoreDamaged, match="a row cannot be read") as caught:
        CALLS[call](store)
    assert caught.value.__cause__ is None, "it would quote the row"


def test_damage_that_sqlite_cannot_even_quote_is_damage(store, tmp_path):
    schema = (tmp_path / "t" / "bad.db").read_bytes()
    for what in (b"turnsturns", b"CREATE TABLE turns"):  # a name, and what would be done for it
        spoil(tmp_path, schema.index(what), b"\xd7")
    assert list(store.histories("t")) == ["bad", "good"]
    for name in CALLS.keys() - {"histories"}:
        with pytest.raises(StoreDamaged, match="history 'bad' is damaged"):
            CALLS[name](store)


def test_damage_that_is_met_between_two_pages_is_said_as_what_it_is(store, tmp_path):
    epoch = store.snapshot("t", "bad", [], []).epoch
    store.write("t", "bad", epoch, SETTINGS, [change("b", ["more"] * PAGE_TURNS)])
    reading = store.turns("t", "bad")
    next(reading)
    spoil(tmp_path, 0, b"\xa5" * 100)
    with pytest.raises(StoreDamaged, match="history 'bad' is damaged"):
        list(reading)


async def test_a_list_in_pieces_names_what_is_damaged(store, tmp_path):
    for number in range(AT_ONCE):
        store.write("t", f"z{number}", None, SETTINGS, [change("a", ["x"])])
    spoil(tmp_path, 0, b"\xa5" * 100)
    found = await overview(Histories(store, HashEncoder(), RetrievalProfile()), "t")
    assert [each.history for each in found] == ["bad", "good", *(f"z{n}" for n in range(AT_ONCE))]
    assert [each.history for each in found if each.damaged] == ["bad"]


async def test_a_tenant_is_deleted_with_what_is_damaged(store, tmp_path):
    spoil(tmp_path, 0, b"\xa5" * 100)
    histories = Histories(store, HashEncoder(), RetrievalProfile())
    parts = []
    proof = await histories.delete_tenant("t", parts.append)
    assert (proof.histories, proof.remaining) == (2, 0)
    assert [part.histories for part in parts] == [1, 1]
    assert list(store.histories("t")) == []
    assert not (tmp_path / "t").exists()


def limited(pages):
    """Opens files that may not become larger than this: a disk that is full."""

    def connect(path):
        db = connection.connect(path)
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    return connect


def test_a_full_disk_is_said_and_nothing_is_written(store, tmp_path):
    epoch = store.snapshot("t", "bad", [], []).epoch
    full = SqliteStore(tmp_path, limited(10))
    with pytest.raises(StoreUnavailable, match=r"database or disk is full.*try again"):
        full.write("t", "bad", epoch, SETTINGS, [change("b", ["word " * 1000] * 50)])
    assert store.info("t", "bad").turns == 60
    store.write("t", "bad", epoch, SETTINGS, [change("b", ["word " * 1000] * 50)])
    assert store.info("t", "bad").turns == 110


def test_a_first_write_to_a_full_disk_leaves_no_file_and_no_folder(tmp_path):
    full = SqliteStore(tmp_path, limited(10))
    with pytest.raises(StoreUnavailable, match="full"):
        full.write("u", "h", None, SETTINGS, [change("a", ["word " * 1000] * 50)])
    assert not (tmp_path / "u").exists()
    assert list(full.histories("u")) == []


@contextmanager
def no_larger_file(most):
    """The system refuses to write beyond this place in any file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_history_is_deleted_where_no_log_of_it_can_be_written(store, tmp_path):
    size = (tmp_path / "t" / "bad.db").stat().st_size
    with no_larger_file(size):
        proof = store.delete("t", "bad")
    assert (proof.histories, proof.turns, proof.remaining) == (1, 0, 0), "it was not counted"
    assert SECRET.encode() not in on_disk(tmp_path)
    assert list(store.histories("t")) == ["good"]


def test_what_cannot_be_overwritten_is_unlinked_and_that_is_logged(store, tmp_path, caplog):
    with no_larger_file(PAGE), (tmp_path / "t" / "bad.db").open("rb") as held:
        assert store.delete("t", "bad").remaining == 0
        assert held.read(PAGE) == bytes(PAGE)
    assert "bad.db was not overwritten" in caplog.text
    assert list(store.histories("t")) == ["good"]


def test_a_file_that_cannot_be_opened_is_worth_a_retry(tmp_path):
    def connect(path):
        raise sqlite3.OperationalError("unable to open database file")

    SqliteStore(tmp_path).write("t", "h", None, SETTINGS, [change("a", ["x"])])
    with pytest.raises(StoreUnavailable, match="unable to open"):
        SqliteStore(tmp_path, connect).turns("t", "h")


def test_a_folder_that_is_none_is_worth_a_retry(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="Not a directory"):
        SqliteStore(tmp_path / "file").info("t", "h")


def test_a_fault_of_this_program_stays_one(store):
    with pytest.raises(sqlite3.OperationalError, match="syntax"), connection.faults("h"):
        raise sqlite3.OperationalError('near "x": syntax error')


@pytest.mark.parametrize(
    "call",
    [CALLS["search"], lambda store: store.write("t", "h", None, SETTINGS, [change("a", ["x"])])],
    ids=["search", "write"],
)
def test_a_fault_of_this_program_advises_nobody_to_delete(store, monkeypatch, call):
    def blob(vector):
        raise TypeError("a fault of ours")

    monkeypatch.setattr(rows, "blob", blob)
    with pytest.raises(TypeError, match="a fault of ours"):
        call(store)


async def test_turns_can_be_added_to_a_sound_history_beside_a_damaged_one(store, tmp_path):
    spoil(tmp_path, 0, b"\xa5" * 100)
    histories = Histories(store, HashEncoder(), RetrievalProfile())
    assert (await histories.ingest("t", "new", [Turn("t1", "Ana", "hi")])).added == 1
    with pytest.raises(StoreDamaged):
        await histories.ingest("t", "bad", [Turn("t1", "Ana", "hi")])


@contextmanager
def another_reader(file):
    """A program that reads the file in a transaction, and knows nothing of our locks."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM turns").fetchone()
        yield


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(connection, "_READERS_MILLISECONDS", 10)


@pytest.mark.usefixtures("hasty")
def test_a_history_that_another_program_reads_is_gone_from_the_disk_all_the_same(store, tmp_path):
    with another_reader(tmp_path / "t" / "bad.db"):
        with (tmp_path / "t" / "bad.db").open("rb") as held:
            proof = store.delete("t", "bad")
            assert SECRET.encode() not in held.read()
        assert (proof.turns, proof.remaining) == (60, 0)
        assert SECRET.encode() not in on_disk(tmp_path)


@pytest.mark.usefixtures("hasty")
async def test_turns_that_another_program_keeps_in_the_log_are_counted(tmp_path):
    store = SqliteStore(tmp_path)
    histories = Histories(store, HashEncoder(), RetrievalProfile())
    turns = [Turn("t1", "Ana", f"the {SECRET}"), Turn("t2", "Ana", "hello")]
    await histories.ingest("t", "h", turns)
    with another_reader(tmp_path / "t" / "h.db"):
        proof = await histories.delete_turns("t", "h", ["t1"])
        assert SECRET.encode() in on_disk(tmp_path)
        assert (proof.turns, proof.remaining) == (1, 1)
        assert (await histories.delete_turns("t", "h", ["t1"])).remaining == 1
    assert (await histories.delete_turns("t", "h", ["t1"])).remaining == 0
    assert SECRET.encode() not in on_disk(tmp_path)
