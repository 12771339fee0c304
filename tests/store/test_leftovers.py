"""What a process leaves that is killed in a history's first write, or in its deletion."""

from __future__ import annotations

import errno

import pytest

from budgetmem.backbone import HashEncoder
from budgetmem.config import RetrievalProfile
from budgetmem.errors import NotFound, StoreUnavailable
from budgetmem.history import Histories
from budgetmem.store.paths import Paths
from budgetmem.store.sqlite import SqliteStore
from tests.store.making import SETTINGS, change

SECRET = b"xylophonesecret"


def never_filled(folder):
    (folder / "t").mkdir()
    (folder / "t" / "h.db").touch()
    (folder / "t" / "h.db-wal").write_bytes(SECRET)


def log_alone(folder):
    (folder / "t").mkdir()
    (folder / "t" / "h.db-wal").write_bytes(SECRET)


def emptied(folder):
    store = SqliteStore(folder)
    store.write("t", "h", None, SETTINGS, [change("a", ["hello"])])

    def full(paths, database):
        raise OSError("no disk")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Paths, "remove", full)
        with pytest.raises(StoreUnavailable):
            store.delete("t", "h")


def folder_alone(folder):
    (folder / "t").mkdir()


@pytest.mark.parametrize("leave", [never_filled, log_alone, emptied])
def test_a_deletion_of_what_is_not_there_any_more_removes_its_files(tmp_path, leave):
    leave(tmp_path)
    store = SqliteStore(tmp_path)
    assert [*store.histories("t")] == []
    assert [*tmp_path.glob("t/h.db*")]
    with pytest.raises(NotFound):
        store.delete("t", "h")
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("leave", [never_filled, log_alone, emptied, folder_alone])
async def test_a_deletion_of_the_tenant_leaves_no_file_that_names_it(tmp_path, leave):
    leave(tmp_path)
    histories = Histories(SqliteStore(tmp_path), HashEncoder(), RetrievalProfile())
    proof = await histories.delete_tenant("t")
    assert (proof.histories, proof.turns) == (0, 0)
    assert not (tmp_path / "t").exists()


def test_a_folder_that_cannot_be_removed_is_worth_a_retry(tmp_path, monkeypatch):
    def full(paths, tenant):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Paths, "drop_tenant", full)
    with pytest.raises(StoreUnavailable, match=r"folder of tenant 't' .*No space left"):
        SqliteStore(tmp_path).sweep("t")


def sweep_while(monkeypatch, store, meanwhile):
    """Sweeps tenant t. `meanwhile` is done between the look at its history and the removal."""
    is_there = store._is_there

    def looked(tenant, history):
        found = is_there(tenant, history)
        meanwhile()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(store, "_is_there", looked)
        store.sweep("t")


def test_a_history_that_is_filled_as_it_is_swept_stays(tmp_path, monkeypatch):
    never_filled(tmp_path)
    store = SqliteStore(tmp_path)
    filled = [change("a", ["hello"])]
    sweep_while(monkeypatch, store, lambda: store.write("t", "h", None, SETTINGS, filled))
    assert [*store.histories("t")] == ["h"]


def test_two_may_sweep_at_a_time(tmp_path, monkeypatch):
    never_filled(tmp_path)
    sweep_while(monkeypatch, SqliteStore(tmp_path), lambda: SqliteStore(tmp_path).sweep("t"))
    assert not (tmp_path / "t").exists()


def test_what_was_left_is_swept_and_histories_with_turns_stay(new_store):
    store = new_store()
    store.write("t", "kept", None, SETTINGS, [change("a", ["hello"])])
    store.sweep("t")
    assert [*store.histories("t")] == ["kept"]
    store.sweep("nobody")
