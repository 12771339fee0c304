"""Turns that are deleted are gone: from the answers, the units, the index and the disk."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from budgetmem.backbone import HashEncoder
from budgetmem.config import ChunkingProfile, RetrievalProfile
from budgetmem.errors import Conflict, InvalidInput, NotFound
from budgetmem.history import Histories
from budgetmem.store.base import Busy
from budgetmem.store.sqlite import SqliteStore
from budgetmem.types import Turn

SECRET = "xylophone"
NUMBERS = count()


def turn(name, text, session="s1"):
    return Turn(name, "Ana", text, None, session)


TALK = [
    turn("a1", "We ate soup in the garden."),
    turn("a2", f"My password is {SECRET}, tell nobody."),
    turn("a3", "The weather was fine."),
    turn("b1", "Ben moved to Lisbon.", "s2"),
    turn("b2", f"He plays the {SECRET}.", "s2"),
]


def histories(store) -> Histories:
    profile = RetrievalProfile(chunking=ChunkingProfile(neighbours=1))
    return Histories(store, HashEncoder(), profile)


def units(store, history):
    return {unit for unit, _ in store.contents("t", history).units}


def on_disk(folder) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def everything(kept, history="h") -> str:
    found = await kept.retrieve("t", history, f"{SECRET} soup weather Lisbon", 10_000)
    return "\n".join(chunk.text for chunk in found.chunks)


async def test_what_was_said_in_them_is_nowhere_any_more(tmp_path):
    kept = histories(SqliteStore(tmp_path))
    await kept.ingest("t", "h", TALK)
    assert SECRET.encode() in on_disk(tmp_path)
    proof = await kept.delete_turns("t", "h", ["a2", "b2"])
    assert (proof.turns, proof.remaining, proof.histories) == (2, 0, 0)
    assert proof.chunks >= 4  # their neighbours had them in their windows
    assert SECRET not in await everything(kept)
    assert SECRET.encode() not in on_disk(tmp_path)
    assert [each.id async for each in kept.export("t", "h")] == ["a1", "a3", "b1"]


async def test_what_is_left_is_as_if_they_had_never_been(new_store):
    kept, never = histories(new_store()), histories(new_store())
    await kept.ingest("t", "h", TALK)
    await kept.delete_turns("t", "h", ["a2", "b2"])
    await never.ingest("t", "h", [each for each in TALK if each.id not in ("a2", "b2")])
    for query in ("soup", "Lisbon weather", SECRET):
        assert await kept.retrieve("t", "h", query) == await never.retrieve("t", "h", query)
    assert await kept.info("t", "h") == await never.info("t", "h")


async def test_a_whole_session_and_a_whole_history_may_go(store, tmp_path):
    kept = histories(store)
    await kept.ingest("t", "h", TALK)
    await kept.delete_turns("t", "h", ["b1", "b2"])
    assert (await kept.info("t", "h")).sessions == 1
    await kept.delete_turns("t", "h", ["a1", "a2", "a3"])
    with pytest.raises(NotFound):
        await kept.info("t", "h")
    assert not list(tmp_path.rglob("*.db*")), "no file, whose name is the history's"
    await kept.ingest("t", "h", TALK[:1])
    assert (await kept.info("t", "h")).turns == 1


async def test_turns_that_are_not_there_are_no_fault(store):
    kept = histories(store)
    await kept.ingest("t", "h", TALK)
    assert (await kept.delete_turns("t", "h", ["a2", "other"])).turns == 1
    again = await kept.delete_turns("t", "h", ["a2", "other"])
    assert (again.turns, again.chunks, again.remaining) == (0, 0, 0)
    with pytest.raises(NotFound):
        await kept.delete_turns("t", "another", ["a2"])


class Late:
    """A store in which somebody else erases a session after it was found, before it is read."""

    def __init__(self, inner, erase):
        self.inner = inner
        self.erase = erase

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def sessions_of(self, *of):
        found = self.inner.sessions_of(*of)
        self.erase()
        return found


async def test_a_session_that_somebody_else_erased_meanwhile_does_not_come_back(store):
    kept = histories(store)
    await kept.ingest("t", "h", TALK)

    def erase():
        asyncio.run(kept.delete_turns("t", "h", ["b1", "b2"]))

    proof = await histories(Late(store, erase)).delete_turns("t", "h", ["a1", "b1", "b2"])
    assert (proof.turns, proof.remaining) == (1, 0)
    assert store.contents("t", "h").sessions == ("s1",)


async def test_one_text_is_not_the_ids_of_its_letters(store):
    kept = histories(store)
    await kept.ingest("t", "h", [turn("1", "One."), turn("7", "Seven."), turn("17", "Both.")])
    with pytest.raises(InvalidInput, match="turn_ids: a list of ids is due"):
        await kept.delete_turns("t", "h", "17")
    assert (await kept.info("t", "h")).turns == 3


async def test_ingest_at_the_same_time_loses_nothing(store, tmp_path):
    kept = histories(store)
    await kept.ingest("t", "h", TALK)
    more = [turn(f"n{number}", f"More talk {number}.") for number in range(12)]
    erase = asyncio.gather(*(kept.delete_turns("t", "h", [name]) for name in ("a2", "a3", "b2")))
    ingest = asyncio.gather(*(kept.ingest("t", "h", [each]) for each in more))
    proofs, reports = await asyncio.gather(erase, ingest)
    assert [proof.turns for proof in proofs] == [1, 1, 1]
    assert sum(report.added for report in reports) == 12
    left = {each.id async for each in kept.export("t", "h")}
    assert left == {"a1", "b1", *(each.id for each in more)}
    assert SECRET.encode() not in on_disk(tmp_path)


class Gated(HashEncoder):
    """Embeds once it is let."""

    def __init__(self):
        super().__init__()
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def embed(self, texts):
        self.asked.set()
        await self.let.wait()
        return await super().embed(texts)


async def test_an_ingest_that_began_before_brings_nothing_back(store):
    kept, slow = histories(store), Gated()
    late = Histories(store, slow, RetrievalProfile(chunking=ChunkingProfile(neighbours=1)))
    await kept.ingest("t", "h", TALK)
    running = asyncio.create_task(late.ingest("t", "h", [turn("a9", "Thank you for that.")]))
    await slow.asked.wait()
    # The session is emptied, and has as many writes behind it as before when the other comes.
    assert (await kept.delete_turns("t", "h", ["a1", "a2", "a3"])).remaining == 0
    await kept.ingest("t", "h", [turn("a4", "It rains.")])
    slow.let.set()
    await running
    assert "password" not in await everything(kept)
    assert store.traces("t", "h", ["a1", "a2", "a3"]) == 0
    assert [each.id for each in store.turns("t", "h")] == ["b1", "b2", "a4", "a9"]


class Held(SqliteStore):
    """Somebody holds the history as it is scanned, for longer than is waited for."""

    def __init__(self, root, clock):
        super().__init__(root, waits=False)
        self.clock, self.times = clock, 2

    def traces(self, *of):
        if self.times > 0:
            self.times -= 1
            self.clock.now += 31
            raise Busy("somebody reads it")
        return super().traces(*of)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("ids", [["a2", "b2"], [each.id for each in TALK]])
async def test_a_scan_that_has_to_wait_does_not_unsay_what_was_erased(tmp_path, ids):
    clock = Clock()
    kept = Histories(Held(tmp_path, clock), HashEncoder(), RetrievalProfile(), clock=clock)
    await kept.ingest("t", "h", TALK)
    told = []
    proof = await kept.delete_turns("t", "h", ids, told.append)
    assert (proof.turns, proof.remaining) == (len(ids), 0)
    assert [each.turns for each in told] == [len(ids)]


async def test_the_last_turns_go_from_the_log_too_while_somebody_reads(tmp_path):
    kept = histories(SqliteStore(tmp_path))
    await kept.ingest("t", "h", TALK[:1])
    [file] = tmp_path.rglob("*.db")
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM turns").fetchone()
        await kept.ingest("t", "h", TALK[1:2])
        with file.with_name(f"{file.name}-wal").open("rb") as log:
            assert SECRET.encode() in log.read()
            await kept.delete_turns("t", "h", ["a1", "a2"])
            # Its name is gone; its blocks are what a disk may keep.
            log.seek(0)
            assert SECRET.encode() not in log.read()


async def test_all_histories_of_a_tenant_go_and_nobody_elses(store):
    kept = histories(store)
    for tenant, history in (("t", "h"), ("t", "k"), ("other", "h")):
        await kept.ingest(tenant, history, TALK)
    proof = await kept.delete_tenant("t")
    assert (proof.histories, proof.turns, proof.remaining) == (2, 10, 0)
    assert await kept.list("t") == []
    assert (await kept.info("other", "h")).turns == 5
    assert (await kept.delete_tenant("t")).histories == 0


async def test_a_tenant_that_goes_on_ingesting_is_told_so(store, monkeypatch):
    kept, parts = histories(store), []
    delete = kept.delete

    async def made_again(tenant, history, on_deleted):
        proof = await delete(tenant, history, on_deleted)
        await kept.ingest(tenant, history, TALK[:1])
        return proof

    monkeypatch.setattr(kept, "delete", made_again)
    await kept.ingest("t", "h", TALK)
    with pytest.raises(Conflict, match=r"end what ingests, and send the same again"):
        await kept.delete_tenant("t", parts.append)
    assert sum(part.turns for part in parts) == len(TALK) + len(parts) - 1


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    said=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["yes", "no"])), min_size=1, max_size=9
    ),
    gone=st.sets(st.integers(0, 8)),
)
@example(said=[(0, "hello"), (0, "yes"), (0, "yes"), (0, "no")], gone={1})
def test_any_turns_may_go(store, said, gone):
    number = next(NUMBERS)
    with_them, without = f"kept{number}", f"never{number}"
    # With few words, so that many turns say the same.
    talk = [turn(f"t{n}", word, f"s{session}") for n, (session, word) in enumerate(said)]
    left = [each for n, each in enumerate(talk) if n not in gone]

    async def check():
        kept = histories(store)
        await kept.ingest("t", with_them, talk)
        proof = await kept.delete_turns("t", with_them, [f"t{n}" for n in gone])
        assert (proof.turns, proof.remaining) == (len(talk) - len(left), 0)
        if left:
            # Sessions without times stand in the order of their arrival.
            ordered = [each async for each in kept.export("t", with_them)]
            assert sorted(ordered, key=lambda each: each.id) == left
            await kept.ingest("t", without, ordered)
            assert units(store, with_them) == units(store, without)
            found = await kept.retrieve("t", with_them, "yes or no")
            assert found == await kept.retrieve("t", without, "yes or no")

    asyncio.run(check())
