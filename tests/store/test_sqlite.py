"""What SQLite promises beyond the protocol: about files, and the bytes in them."""

import sqlite3

import pytest

from budgetmem.errors import ConfigError, NotFound
from budgetmem.store.sqlite import SqliteStore
from tests.store.making import SETTINGS, change


@pytest.fixture
def store(tmp_path):
    return SqliteStore(tmp_path)


def test_deletion_counts_what_it_removed_and_leaves_no_byte_of_it(store, tmp_path):
    secret = "xylophonesecret"
    store.write("t", "h", None, SETTINGS, [change("a", [f"{secret} {i}" for i in range(50)])])
    proof = store.delete("t", "h")
    assert (proof.turns, proof.chunks, proof.vectors, proof.remaining) == (50, 50, 50, 0)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(secret.encode() not in path.read_bytes() for path in left)
    assert all(path.parent.name == ".locks" for path in left)
    assert list(store.histories("t")) == []


def test_rows_are_wiped_even_before_the_file_goes(store, tmp_path, monkeypatch):
    """What a crash between the two would leave: an empty file without the old text."""
    secret = "xylophonesecret"
    store.write("t", "h", None, SETTINGS, [change("a", [f"{secret} {i}" for i in range(50)])])
    monkeypatch.setattr("pathlib.Path.unlink", lambda self: None)
    proof = store.delete("t", "h")
    assert proof.remaining > 0, "files that stay are reported"
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes()
    assert list(store.histories("t")) == []
    with pytest.raises(NotFound):
        list(store.turns("t", "h"))
    epoch = store.snapshot("t", "h", [], []).epoch
    store.write("t", "h", epoch, SETTINGS, [change("a", ["new"])])
    assert [turn.text for turn in store.turns("t", "h")] == ["new"]


def test_a_newer_version_is_refused(store, tmp_path):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    with sqlite3.connect(tmp_path / "t" / "h.db") as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'version'")
    with pytest.raises(ConfigError, match=r"newer BudgetMem \(store version 99"):
        list(store.turns("t", "h"))


def test_a_foreign_file_is_refused_by_its_path(store, tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "h.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ConfigError, match=r"h\.db: not a history"):
        store.info("t", "h")


def test_what_was_acknowledged_is_on_disk_in_wal_mode(store, tmp_path):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    with sqlite3.connect(tmp_path / "t" / "h.db") as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
