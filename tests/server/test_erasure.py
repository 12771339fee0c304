"""Deletions empty the memories and leave a record, which names nobody."""

import hashlib
import json
import stat
from datetime import datetime, timezone

import pytest

from budgetmem.errors import NotFound
from budgetmem.store.base import DeletionProof
from budgetmem.types import Turn
from server.erasure import ErasingHistories, ErasureLog, RecordFile
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


async def test_all_else_is_left_to_the_histories(erasing):
    assert (await erasing.ingest("ana", "trip", TURNS)).added == 2
    assert list(await erasing.list("ana")) == ["trip"]
    assert (await erasing.info("ana", "trip")).turns == 2
    assert [each async for each in erasing.export("ana", "trip")] == TURNS
