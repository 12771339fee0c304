"""Deletions empty the memories and leave a record, which names nobody."""

import asyncio
import errno
import hashlib
import json
import os
import resource
import stat
from datetime import datetime, timezone

import pytest

from budgetmem.backbone import HashEncoder
from budgetmem.config import RetrievalProfile
from budgetmem.errors import ConfigError, Conflict, NotFound, Overloaded, StoreUnavailable
from budgetmem.history import Histories
from budgetmem.store.base import DeletionProof
from budgetmem.store.sqlite import SqliteStore
from budgetmem.types import Turn
from server.erasure import ErasingHistories, ErasureLog, RecordFile
from server.errands import Errands
from server.room import Share
from tests.server.fake_engine import FakeHistories

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
TURNS = [Turn("t1", "Ana", "hi"), Turn("t2", "Bo", "hello")]


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data" / "erasures.jsonl"


@pytest.fixture
def log(file):
    return ErasureLog(RecordFile(file), clock=lambda: NOON)


@pytest.fixture
def erasing(log):
    forgotten = []
    histories = ErasingHistories(FakeHistories(), forgotten.append, log)
    histories.inner.forgotten = forgotten
    return histories


async def test_every_deletion_is_recorded_and_forgotten(erasing, file):
    for history in ("trip", "work"):
        await erasing.ingest("ana", history, TURNS)
    proofs = [
        await erasing.delete_turns("ana", "trip", ["t1"]),
        await erasing.delete("ana", "work"),
        await erasing.delete_tenant("ana"),
    ]
    assert erasing.inner.forgotten == ["ana"] * 3
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert [each["record"] for each in records] == [proof.record for proof in proofs]
    assert [each["scope"] for each in records] == ["turns", "history", "tenant"]
    assert [each["turns"] for each in records] == [1, 2, 1]
    assert records[1]["history_sha256"] == sha256("work")
    assert records[2]["tenant_sha256"] == sha256("ana")
    assert {each["at"] for each in records} == {"2026-01-02T12:00:00+00:00"}
    assert {each["remaining"] for each in records} == {0}
    assert {each["complete"] for each in records} == {True}


async def test_a_record_names_nobody_and_is_for_the_owner_alone(erasing, file):
    await erasing.ingest("ana", "trip", TURNS)
    await erasing.delete("ana", "trip")
    assert "ana" not in file.read_text()
    assert "trip" not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_deletion_that_failed_has_no_record(erasing, file):
    with pytest.raises(NotFound):
        await erasing.delete("ana", "trip")
    assert not file.exists()


async def test_a_deletion_that_cannot_be_recorded_was_made_all_the_same(tmp_path, caplog):
    (tmp_path / "data").write_text("a file where the folder should be")
    log = ErasureLog(RecordFile(tmp_path / "data" / "erasures.jsonl"))
    assert log.add("history", DeletionProof(1, 1, 1, 0), tenant="ana") == ""
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize("error", [ConfigError, Conflict, StoreUnavailable, OSError])
def test_whatever_is_raised_instead_of_recording_does_not_fail_the_deletion(error, caplog):
    class Full:
        def keep_record(self, line):
            raise error("permission denied for table erasures")

    assert ErasureLog(Full()).add("history", DeletionProof(1, 1, 1, 0), tenant="ana") == ""
    assert "permission denied" in caplog.text


class Slow(FakeHistories):
    """Deletes in a thread, as stores do, and fails after so many of a tenant's histories."""

    def __init__(self, most=99):
        super().__init__()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.most = most

    async def delete(self, tenant, history, on_deleted=lambda proof: None):
        self.begun.set()
        await self.go_on.wait()
        if not self.most:
            raise StoreUnavailable("the disk is full")
        self.most -= 1
        return await super().delete(tenant, history, on_deleted)


async def slow_and_two_histories(log, most=99, share=None):
    forgotten, errands = [], Errands(share)
    erasing = ErasingHistories(Slow(most), forgotten.append, log, errands)
    for history in ("trip", "work"):
        await erasing.ingest("ana", history, TURNS)
    return erasing, forgotten, errands


async def test_a_deletion_whose_caller_left_is_forgotten_and_recorded(log, file):
    erasing, forgotten, errands = await slow_and_two_histories(log)
    await erasing.ingest("bo", "home", TURNS[:1])
    calls = [
        asyncio.create_task(erasing.delete_tenant("ana")),
        asyncio.create_task(erasing.delete("bo", "home")),
    ]
    await erasing.inner.begun.wait()
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert (forgotten, file.exists()) == ([], False)
    closing = asyncio.create_task(errands.close())
    await asyncio.sleep(0)
    assert not closing.done(), "it waits for what is under way"
    erasing.inner.go_on.set()
    await closing
    assert sorted(forgotten) == ["ana", "bo"]
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert {each["scope"]: each["turns"] for each in records} == {"tenant": 4, "history": 1}
    assert erasing.inner.kept == {}


async def test_a_deletion_whose_caller_left_keeps_its_place_until_it_is_recorded(log, file):
    erasing, forgotten, errands = await slow_and_two_histories(log, share=Share(2, 1))
    await erasing.ingest("bo", "home", TURNS)
    call = asyncio.create_task(erasing.delete("ana", "trip"))
    await erasing.inner.begun.wait()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    with pytest.raises(Overloaded, match="1 deletions of one tenant"):
        await erasing.delete("ana", "work")
    erasing.inner.go_on.set()
    assert (await erasing.delete("bo", "home")).turns == 2, "others have their own"
    await errands.close()
    assert sorted(forgotten) == ["ana", "bo"], "what found no place deleted nothing"
    assert (await erasing.delete("ana", "work")).turns == 2
    assert len(file.read_text().splitlines()) == 3


async def test_a_place_is_free_after_a_deletion_that_failed(log):
    erasing, *_ = await slow_and_two_histories(log, share=Share(1, 1))
    erasing.inner.go_on.set()
    for _ in range(2):
        with pytest.raises(NotFound):
            await erasing.delete("ana", "nowhere")
    assert (await erasing.delete("ana", "trip")).turns == 2


async def test_what_was_deleted_before_a_failure_is_recorded(log, file):
    erasing, forgotten, _ = await slow_and_two_histories(log, most=1)
    erasing.inner.go_on.set()
    with pytest.raises(StoreUnavailable):
        await erasing.delete_tenant("ana")
    assert forgotten == ["ana"]
    [record] = [json.loads(line) for line in file.read_text().splitlines()]
    assert (record["scope"], record["complete"], record["turns"]) == ("tenant", False, 2)
    with pytest.raises(StoreUnavailable):
        await erasing.delete("ana", "work")
    assert forgotten == ["ana", "ana"], "nobody knows how far it came"
    assert len(file.read_text().splitlines()) == 1


ERASURES = {
    "turns": lambda erasing: erasing.delete_turns("ana", "trip", ["t1", "t2"]),
    "history": lambda erasing: erasing.delete("ana", "trip"),
    "tenant": lambda erasing: erasing.delete_tenant("ana"),
}


@pytest.mark.parametrize("scope", ERASURES)
async def test_what_was_erased_is_recorded_though_its_file_cannot_be_removed(
    log, file, tmp_path, monkeypatch, scope
):
    kept = Histories(SqliteStore(tmp_path / "h"), HashEncoder(), RetrievalProfile())
    erasing = ErasingHistories(kept, lambda tenant: None, log)
    await erasing.ingest("ana", "trip", TURNS)

    def unlink(self):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as failing:
        failing.setattr("pathlib.Path.unlink", unlink)
        with pytest.raises(StoreUnavailable, match="Read-only"):
            await ERASURES[scope](erasing)
    [record] = [json.loads(line) for line in file.read_text().splitlines()]
    assert (record["scope"], record["complete"], record["turns"]) == (scope, False, 2)
    assert record["tenant_sha256"] == sha256("ana")


def test_a_record_that_was_cut_off_spoils_no_other(file):
    records = RecordFile(file)
    records.keep_record("first")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            records.keep_record("second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    records.keep_record("third")
    records.keep_record("fourth")
    assert file.read_text() == "first\nseco\nthird\nfourth\n"


def test_a_new_file_of_records_is_durable_with_its_name(file, monkeypatch):
    synced, sync = set(), os.fsync

    def noted(descriptor):
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    RecordFile(file).keep_record("first")
    assert {file.stat().st_ino, file.parent.stat().st_ino} <= synced


async def test_all_else_is_left_to_the_histories(erasing):
    assert (await erasing.ingest("ana", "trip", TURNS)).added == 2
    assert list(await erasing.list("ana")) == ["trip"]
    assert (await erasing.info("ana", "trip")).turns == 2
    assert [each async for each in erasing.export("ana", "trip")] == TURNS
