"""The store that a server opens: a folder, or a database with threads of its own."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from contextlib import closing

import pytest

from budgetmem.backbone import HashEncoder, ModelSet
from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from budgetmem.store.paths import Paths
from budgetmem.store.sqlite import SqliteStore
from budgetmem.types import Turn
from server.assembly import open_histories
from server.erasure import ErasingHistories, ErasureLog
from server.stores import opened_store
from server.workers import Workers

psycopg = pytest.importorskip("psycopg")

PROFILE = load_profile("tiny")
MODELS = ModelSet({}, HashEncoder(name=PROFILE.encoder.asset), None)


def test_a_folder_needs_no_threads(tmp_path):
    with opened_store(str(tmp_path)) as opened:
        assert isinstance(opened.store, SqliteStore)
        assert opened.threads is None


@pytest.mark.parametrize("inside", ["", "below"])
def test_a_folder_that_cannot_be_written_is_told_before_anybody_calls(tmp_path, inside):
    file = tmp_path / "file"
    file.write_text("no folder")
    with (
        pytest.raises(ConfigError, match=r"histories cannot be kept in .*--data-dir"),
        opened_store(str(file / inside)),
    ):
        pass


def test_other_urls_are_refused():
    with (
        pytest.raises(ConfigError, match="no store of the kind mysql://"),
        opened_store("mysql://x"),
    ):
        pass


def writer(folder):
    db = sqlite3.connect(folder / "acme" / "held.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    return closing(db)


def reader(folder):
    return Paths(folder).shared("acme", "held")


@pytest.mark.parametrize(
    ("holder", "call"),
    [
        (writer, lambda held: held.ingest("acme", "held", [Turn("t2", "Ben", "Good")])),
        (writer, lambda held: held.delete_turns("acme", "held", ["t1"])),
        (writer, lambda held: held.delete("acme", "held")),
        (reader, lambda held: held.delete_turns("acme", "held", ["t1"])),
        (reader, lambda held: held.delete("acme", "held")),
    ],
    ids=["writer-ingest", "writer-turns", "writer-all", "reader-turns", "reader-all"],
)
async def test_a_history_that_another_program_holds_holds_up_no_other(tmp_path, holder, call):
    asyncio.get_running_loop().set_default_executor(Workers())
    with opened_store(str(tmp_path)) as opened:
        histories = open_histories(PROFILE, MODELS, tmp_path, opened=opened)
        for name in ("held", "other"):
            await histories.ingest("acme", name, [Turn("t1", "Ana", "I booked the flight")])
        with holder(tmp_path):
            waiting = asyncio.create_task(call(histories))
            for _ in range(3):
                found = await asyncio.wait_for(histories.retrieve("acme", "other", "Who?"), 5)
                await asyncio.sleep(0.05)
            assert found.chunks
            assert not waiting.done()
        await waiting


class Memories:
    """Remembers what it was told to forget."""

    def __init__(self):
        self.forgotten = asyncio.Queue()

    def forget(self, tenant):
        self.forgotten.put_nowait(tenant)

    def forget_all(self):
        self.forgotten.put_nowait("everybody")


async def test_what_one_replica_erases_another_forgets(new_database, tmp_path):
    url = new_database()
    memories = Memories()
    with opened_store(url) as one, opened_store(url) as other:
        forgetting = asyncio.create_task(other.keep_forgetting(memories))
        assert await memories.forgotten.get() == "everybody", "it may have missed some"
        histories = open_histories(PROFILE, MODELS, tmp_path, opened=one)
        turns = [Turn("t1", "Ana", "I booked the flight"), Turn("t2", "Ben", "Good")]
        for tenant in ("acme", "globex"):
            await histories.ingest(tenant, "trip", turns)
        await histories.delete("acme", "trip")
        await histories.delete_turns("globex", "trip", ["t1"])
        assert [await memories.forgotten.get() for _ in range(2)] == ["acme", "globex"]
        forgetting.cancel()
        await asyncio.gather(forgetting, return_exceptions=True)


async def test_a_folder_is_one_servers_and_nothing_is_erased_elsewhere(tmp_path):
    with opened_store(str(tmp_path)) as opened:
        await opened.keep_forgetting(Memories())


async def test_replicas_share_their_histories_and_wait_on_threads_of_their_own(
    new_database, tmp_path
):
    url = new_database()
    with opened_store(url) as one, opened_store(url) as other:
        here = open_histories(PROFILE, MODELS, tmp_path, opened=one)
        there = open_histories(PROFILE, MODELS, tmp_path, opened=other)
        await here.ingest("acme", "trip", [Turn("t1", "Ana", "I booked the flight")])
        assert (await there.ingest("acme", "trip", [Turn("t2", "Ben", "Good")])).added == 1
        found = await here.retrieve("acme", "trip", "Who booked?")
        assert [chunk.turn_ids for chunk in found.chunks] == [("t1", "t2")]
        erasing = ErasingHistories(there, lambda tenant: None, ErasureLog(other.records))
        proof = await erasing.delete("acme", "trip")
        assert (proof.turns, proof.remaining) == (2, 0)
        assert await here.list("acme") == []
        names = {thread.name.split("_")[0] for thread in threading.enumerate()}
        assert "store" in names
    with psycopg.connect(url) as db:
        [(line,)] = db.execute("SELECT line FROM erasures").fetchall()
    assert json.loads(line)["record"] == proof.record != ""
    assert list(tmp_path.iterdir()) == [], "a server keeps nothing of its own"
