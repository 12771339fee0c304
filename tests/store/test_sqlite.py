"""What SQLite promises beyond the protocol: about files, and the bytes in them."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from budgetmem.errors import ConfigError, NotFound, StoreDamaged
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


def test_a_foreign_file_is_refused(store, tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "h.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreDamaged, match="file is not a database"):
        store.info("t", "h")


def test_what_was_acknowledged_is_on_disk_in_wal_mode(store, tmp_path):
    store.write("t", "h", None, SETTINGS, [change("a", ["x"])])
    with sqlite3.connect(tmp_path / "t" / "h.db") as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_tenants_folder_goes_with_its_last_history(store, tmp_path):
    for history in ("h", "k"):
        store.write("t", history, None, SETTINGS, [change("a", ["x"])])
    store.delete("t", "h")
    assert (tmp_path / "t").is_dir()
    store.delete("t", "k")
    assert [path.name for path in tmp_path.iterdir()] == [".locks"]


def test_a_folder_that_goes_takes_no_other_write_with_it(store):
    def come_and_go(history):
        for _ in range(15):
            store.write("t", history, None, SETTINGS, [change("a", ["x"])])
            assert store.delete("t", history).remaining == 0

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(come_and_go, ["h", "k"]))
    assert store.tenants() == []


def test_a_new_history_is_durable_with_the_folders_above_it(tmp_path, monkeypatch):
    root = tmp_path / "histories"
    synced, sync = set(), os.fsync

    def noted(descriptor):
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    SqliteStore(root).write("t", "h", None, SETTINGS, [change("a", ["x"])])
    assert {folder.stat().st_ino for folder in (root / "t", root, tmp_path)} <= synced
