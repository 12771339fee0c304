"""The largest size of a history: at it, below it, above it, and with many writers at once."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, contextmanager

import pytest

from budgetmem.backbone import HashEncoder
from budgetmem.config import RetrievalProfile
from budgetmem.errors import DuplicateTurn, HistoryFull, NotFound, Overloaded
from budgetmem.history import Histories
from budgetmem.store import connection
from budgetmem.store.base import Size
from budgetmem.store.sqlite import SqliteStore
from budgetmem.types import Turn

PLENTY = 10**9


def turn(number, text="hello", session="s"):
    return Turn(f"t{number:03}", "Ana", text, session=session)


def held(*turns):
    """Bytes of the turns; metadata is kept as JSON, `{}` where there is none."""
    return sum(
        len("".join((t.id, t.speaker, t.text, t.session, t.caption or "")).encode()) + 2
        for t in turns
    )


@pytest.fixture
def histories(store):
    return lambda most: Histories(store, HashEncoder(), RetrievalProfile(), most=most)


async def kept(histories):
    return [turn.id async for turn in histories.export("acme", "trip")]


class Watched:
    """A store whose turns may be read in a place alone, and the places that were asked for."""

    def __init__(self, inner):
        self.inner = inner
        self.asked, self.taken = [], []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def snapshot(self, tenant, history, sessions, turn_ids):
        assert self.taken or not (sessions or turn_ids)
        return self.inner.snapshot(tenant, history, sessions, turn_ids)

    @contextmanager
    def place(self, tenant, size):
        self.asked.append((tenant, size))
        self.taken.append(size)
        yield
        self.taken.pop()


@pytest.fixture
def watched(store):
    return Watched(store)


@pytest.fixture
def bounded(watched):
    return Histories(watched, HashEncoder(), RetrievalProfile(), places=watched.place)


async def test_sessions_are_weighed_before_they_are_read(watched, bounded):
    turns = [turn(0, "naïve", "a"), turn(1, "two", "a"), turn(2, "other", "b")]
    await bounded.ingest("acme", "trip", turns)
    await bounded.ingest("acme", "trip", [turn(3, session="a")])
    await bounded.delete_turns("acme", "trip", ["t002", "t001"])
    both = Size(4, held(*turns, turn(3, session="a")))
    assert [size for _, size in watched.asked] == [Size(0, 0), Size(2, held(*turns[:2])), both]
    assert {tenant for tenant, _ in watched.asked} == {"acme"}
    assert watched.taken == []


async def test_turns_that_are_known_are_weighed_wherever_they_are(watched, bounded):
    turns = [turn(0, "one", "a"), turn(1, "two", "a"), turn(2, "three", "b"), turn(3, "4", "c")]
    await bounded.ingest("acme", "trip", turns)
    watched.asked.clear()
    assert (await bounded.ingest("acme", "trip", turns[:1])).unchanged == 1
    with pytest.raises(DuplicateTurn):
        await bounded.ingest("acme", "trip", [turn(2, "other", "a"), turn(9, "new", "d")])
    # Of the session and the turn in it, each once; then the one in another session too.
    assert [size for _, size in watched.asked] == [
        Size(2, held(*turns[:2])),
        Size(3, held(*turns[:3])),
    ]


async def test_turns_to_erase_that_are_not_there_take_nothing(watched, bounded):
    await bounded.ingest("acme", "trip", [turn(0)])
    watched.asked.clear()
    await bounded.delete_turns("acme", "trip", ["nowhere"])
    with pytest.raises(NotFound):
        await bounded.delete_turns("acme", "another", ["t000"])
    assert [size for _, size in watched.asked] == [Size(0, 0), Size(0, 0)]


async def test_without_room_nothing_is_done(store):
    def full(tenant, size):
        raise Overloaded("no room")

    await Histories(store, HashEncoder(), RetrievalProfile()).ingest("acme", "trip", [turn(0)])
    bounded = Histories(store, HashEncoder(), RetrievalProfile(), places=full)
    for call in (
        bounded.ingest("acme", "trip", [turn(1)]),
        bounded.delete_turns("acme", "trip", ["t000"]),
    ):
        with pytest.raises(Overloaded):
            await call
    assert await kept(bounded) == ["t000"]


@pytest.mark.parametrize("before", [0, 2])
async def test_turns_up_to_the_limit_and_none_beyond(histories, before):
    bounded = histories(Size(4, PLENTY))
    for number in range(before):
        await bounded.ingest("acme", "trip", [turn(number)])
    below = [turn(number) for number in range(before, 3)]
    if below:
        await bounded.ingest("acme", "trip", below)
    with pytest.raises(HistoryFull, match="would hold 5 turns, 4 are the most") as caught:
        await bounded.ingest("acme", "trip", [turn(3), turn(4)])
    assert caught.value.field == "turns"
    assert await kept(bounded) == ["t000", "t001", "t002"], "refused whole"
    await bounded.ingest("acme", "trip", [turn(3)])
    assert len(await kept(bounded)) == 4
    with pytest.raises(HistoryFull):
        await bounded.ingest("acme", "trip", [turn(4)])


async def test_a_first_write_that_is_too_large_makes_no_history(histories):
    bounded = histories(Size(1, PLENTY))
    with pytest.raises(HistoryFull):
        await bounded.ingest("acme", "trip", [turn(0), turn(1)])
    assert await bounded.list("acme") == []
    assert (await bounded.ingest("acme", "trip", [turn(0)])).added == 1


@pytest.mark.parametrize("text", ["hello", "héllo", "日本語", "🙂"])
async def test_bytes_up_to_the_limit_and_none_beyond(histories, text):
    whole = Turn("t0", "Ana", text, session="s", caption=text)
    exact = held(whole)
    with pytest.raises(HistoryFull, match=f"would hold {exact} bytes of text, {exact - 1} are"):
        await histories(Size(PLENTY, exact - 1)).ingest("acme", "trip", [whole])
    assert (await histories(Size(PLENTY, exact)).ingest("acme", "trip", [whole])).added == 1
    assert (await histories(Size(PLENTY, exact + 1)).ingest("acme", "trip", [whole])).unchanged == 1


async def test_labels_count_too(histories):
    labelled = Turn("t0", "Ana", "hello", metadata={"k": "x" * 1000})
    with pytest.raises(HistoryFull):
        await histories(Size(PLENTY, 1000)).ingest("acme", "trip", [labelled])


async def test_repeating_what_is_there_is_harmless_at_the_limit(histories):
    bounded = histories(Size(2, PLENTY))
    turns = [turn(0), turn(1)]
    await bounded.ingest("acme", "trip", turns)
    assert (await bounded.ingest("acme", "trip", turns)).unchanged == 2


async def test_each_history_has_its_own_limit_and_deleting_makes_room(histories):
    bounded = histories(Size(1, PLENTY))
    for tenant, history in (("acme", "trip"), ("acme", "home"), ("globex", "trip")):
        await bounded.ingest(tenant, history, [turn(0)])
    with pytest.raises(HistoryFull):
        await bounded.ingest("acme", "trip", [turn(1)])
    await bounded.delete("acme", "trip")
    assert (await bounded.ingest("acme", "trip", [turn(1)])).added == 1


async def test_a_history_that_is_too_large_already_can_be_read_and_rebuilt(histories):
    await histories(None).ingest("acme", "trip", [turn(number) for number in range(5)])
    bounded = histories(Size(2, PLENTY))
    assert len(await kept(bounded)) == 5
    assert (await bounded.reindex("acme", "trip")).chunks > 0
    with pytest.raises(HistoryFull):
        await bounded.ingest("acme", "trip", [turn(9)])


async def test_writers_side_by_side_never_pass_the_limit_together(histories):
    bounded = histories(Size(5, PLENTY))
    results = await asyncio.gather(
        *(bounded.ingest("acme", "trip", [turn(n, session=f"s{n}")]) for n in range(12)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, HistoryFull) for each in results) == 7
    assert len(await kept(bounded)) == 5


TOTALS = "SELECT value FROM meta WHERE key IN ('turns', 'bytes') ORDER BY key DESC"


def size_of(file):
    """Turns and bytes by the totals that the file keeps."""
    with closing(sqlite3.connect(file)) as db:
        return tuple(int(value) for (value,) in db.execute(TOTALS))


async def test_the_totals_follow_every_change(tmp_path):
    kept = Histories(SqliteStore(tmp_path), HashEncoder(), RetrievalProfile())
    file = tmp_path / "acme" / "trip.db"
    turns = [turn(0, "héllo"), turn(1, "日本語"), Turn("t9", "Ana", "hi", caption="🙂")]
    await kept.ingest("acme", "trip", turns)
    await kept.ingest("acme", "trip", [turn(2), *turns])
    bare = len("t9Anahi🙂".encode()) + len("{}")
    assert size_of(file) == (4, held(turn(2), *turns[:2]) + bare)
    await kept.reindex("acme", "trip")
    await kept.delete_turns("acme", "trip", ["t9", "t001"])
    assert size_of(file) == (2, held(turn(0, "héllo"), turn(2)))


async def test_a_file_without_totals_gets_them_and_is_not_scanned_again(tmp_path):
    statements = []

    def watched(path):
        db = connection.connect(path)
        db.set_trace_callback(statements.append)
        return db

    store = SqliteStore(tmp_path, watched)
    kept = Histories(store, HashEncoder(), RetrievalProfile(), most=Size(3, PLENTY))
    await kept.ingest("acme", "trip", [turn(0)])
    file = tmp_path / "acme" / "trip.db"
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("DROP TRIGGER turn_added")
        db.execute("DROP TRIGGER turn_removed")
        db.execute("DELETE FROM meta WHERE key IN ('turns', 'bytes')")
    for number, scans in ((1, 1), (2, 0)):
        statements.clear()
        await kept.ingest("acme", "trip", [turn(number)])
        assert sum("INSERT INTO meta SELECT" in each for each in statements) == scans
    assert size_of(file) == (3, held(turn(0), turn(1), turn(2)))
    with pytest.raises(HistoryFull, match="would hold 4 turns"):
        await kept.ingest("acme", "trip", [turn(3)])
