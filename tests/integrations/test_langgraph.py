"""The LangGraph store against a server of real pipeline and store, with fake models."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from budgetmem.client import AsyncClient, Client
from budgetmem.errors import Conflict, InvalidInput, StoreDamaged
from budgetmem.store.base import HistoryInfo, Settings
from budgetmem.types import Budget, Turn
from tests.served import served

base = pytest.importorskip("langgraph.store.base")
langgraph = pytest.importorskip("budgetmem.integrations.langgraph")

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
ANA = ("users", "ana")
MOVED = {"text": "I moved to Ardvane yesterday.", "speaker": "Ana", "kind": "fact", "n": 1}
LIKES = {"food": "crêpes", "n": 2}

# Most of it is the frameworks' imports.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def address(data):
    with served(data) as address:
        yield address


@pytest.fixture
def client(address):
    """A client of an empty tenant."""
    with Client(address, tenant="t", timeout_s=60) as client:
        yield client
        client.delete_tenant()


@pytest.fixture
def store(client):
    times = (NOON + timedelta(hours=hour) for hour in range(1000))
    return langgraph.BudgetMemStore(client=client, clock=lambda: next(times))


def test_what_is_put_is_got_listed_and_deleted(store, client):
    store.put(ANA, "m1", MOVED)
    store.put(ANA, "m2", LIKES)
    item = store.get(ANA, "m1")
    assert (item.namespace, item.key, item.value) == (ANA, "m1", MOVED)
    assert item.created_at == item.updated_at == NOON
    assert store.get(ANA, "m2").value == LIKES
    assert [info.history for info in client.histories()] == ["users.ana"]
    assert next(client.export("users.ana")).text == MOVED["text"]
    store.delete(ANA, "m1")
    assert store.get(ANA, "m1") is None
    assert [item.key for item in store.search(ANA)] == ["m2"]


def test_putting_a_key_again_replaces_its_item(store):
    store.put(ANA, "m1", MOVED)
    store.put(ANA, "m1", LIKES)
    [item] = store.search(ANA)
    assert (item.key, item.value) == ("m1", LIKES)
    assert item.updated_at == NOON + timedelta(hours=1)
    store.put(ANA, "m1", MOVED)
    item = store.get(ANA, "m1")
    assert (item.created_at, item.updated_at) == (NOON, NOON + timedelta(hours=2))


@pytest.mark.parametrize("value", [MOVED, LIKES, {"pair": (1, 2)}])
def test_putting_the_same_again_deletes_nothing(store, client, monkeypatch, value):
    store.put(ANA, "m1", value)
    monkeypatch.setattr(client, "delete_turns", None)
    store.put(ANA, "m1", value)
    assert store.get(ANA, "m1").updated_at == NOON


@pytest.mark.parametrize("others", [{}, {"m2": LIKES}])
def test_of_many_that_put_a_key_at_once_the_last_one_wins(store, others):
    for key, value in others.items():
        store.put(ANA, key, value)

    def write(writer):
        for n in range(5):
            store.put(ANA, "m1", {"text": f"said by {writer}", "n": n})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = {item.key: item.value for item in store.search(ANA)}
    assert found.pop("m1")["n"] == 4
    assert found == others


class Overtaken(Client):
    """Another puts the key before each of the first puts, and deletes all before each deletion."""

    times = 0

    def ingest(self, history, turns):
        if self.times > 0:
            self.times -= 1
            super().ingest(history, [Turn("m1", "Bo", f"{self.times} more")])
        return super().ingest(history, turns)

    def delete_turns(self, history, turn_ids):
        self.delete(history)
        return super().delete_turns(history, turn_ids)


def test_whoever_is_overtaken_puts_again_and_not_for_ever(address, client):
    with Overtaken(address, tenant="t", timeout_s=60) as overtaken:
        store = langgraph.BudgetMemStore(client=overtaken)
        overtaken.times = 3
        store.put(ANA, "m1", MOVED)
        assert store.get(ANA, "m1").value == MOVED
        overtaken.times = langgraph.PUT_ATTEMPTS
        with pytest.raises(Conflict, match=r"'m1' of \('users', 'ana'\): put it again"):
            store.put(ANA, "m1", LIKES)


def test_a_turn_that_was_ingested_otherwise_can_be_replaced(store, client):
    client.ingest("users.ana", [Turn("t1", "Ana", "hello")])
    store.put(ANA, "t1", {"text": "hello"})
    item = store.get(ANA, "t1")
    assert (item.value, item.created_at) == ({"text": "hello"}, langgraph.UNKNOWN_TIME)
    assert item.updated_at == NOON


def test_what_is_not_there_is_no_fault(store):
    assert store.get(ANA, "m1") is None
    assert store.search(ANA) == []
    assert store.search(ANA, query="Where does Ana live?") == []
    store.delete(ANA, "m1")


def test_a_query_extracts_a_memory_under_the_budget(store):
    store.put(ANA, "m1", MOVED)
    cheap = store.within(budget=Budget(max_cost_usd=0.0))
    [found] = cheap.search(ANA, query="Where does Ana live?")
    assert "Ardvane" in found.value["text"]
    assert found.value["turn_ids"] == ["m1"]
    assert found.value["receipt"]["total"]["cost_usd"] == 0
    assert found.value["history"] == "users.ana"
    [found] = store.search(ANA, query="Where does Ana live?")
    assert found.value["receipt"]["total"]["cost_usd"] > 0
    assert store.get(ANA, found.key) is None


def test_a_query_is_of_one_namespace_and_has_no_filter(store):
    store.put(ANA, "m1", MOVED)
    with pytest.raises(InvalidInput, match=r"name it, for example \('users', 'ana'\)"):
        store.search(("users",), query="Where?")
    with pytest.raises(InvalidInput, match="names the history"):
        store.search((), query="Where?")
    with pytest.raises(InvalidInput, match="filter"):
        store.search(ANA, query="Where?", filter={"n": 1})
    assert store.search(ANA, query="Where?", offset=1) == []
    assert store.search(ANA, query="Where?", limit=0) == []


def test_without_a_query_items_below_a_prefix_are_filtered_and_paged(store):
    for place, name in enumerate(("ana", "bo", "cy")):
        store.put(("users", name), "m", {"text": name, "n": place})
    store.put(("teams",), "m", {"text": "team", "n": 9})
    found = store.search(("users",), filter={"n": {"$gte": 1}})
    assert [item.value["text"] for item in found] == ["bo", "cy"]
    assert [item.value["n"] for item in store.search((), limit=2, offset=1)] == [0, 1]
    assert store.search(("users",), query="") == store.search(("users",))


class Going(Client):
    """Lists a history that is deleted before it can be read."""

    def histories(self):
        return (
            HistoryInfo("users.al", Settings("", 0, ""), 1, 1, 1, None, None),
            *super().histories(),
        )


def test_one_history_that_cannot_be_read_keeps_no_other_back(data, address, client):
    for name in ("ana", "bo"):
        client.ingest(f"users.{name}", [Turn("t1", name, "hello")])
    for file in data.rglob("users%2Ebo.db*"):
        file.write_bytes(b"damaged")
    with Going(address, tenant="t", timeout_s=60) as going:
        store = langgraph.BudgetMemStore(client=going)
        assert [item.namespace for item in store.search(("users",))] == [ANA]
        assert store.search(("users", "al")) == []
        with pytest.raises(StoreDamaged):
            store.search(("users", "bo"))


def test_namespaces_are_listed(store):
    for namespace in (("a", "b", "c"), ("a", "b", "d"), ("a", "e"), ("f", "c")):
        store.put(namespace, "m", LIKES)
    assert store.list_namespaces(prefix=("a",), max_depth=2) == [("a", "b"), ("a", "e")]
    assert store.list_namespaces(suffix=("c",)) == [("a", "b", "c"), ("f", "c")]
    assert store.list_namespaces(prefix=("a", "*", "d")) == [("a", "b", "d")]
    assert store.list_namespaces(limit=1, offset=3) == [("f", "c")]


def test_histories_that_were_ingested_otherwise_are_namespaces_too(store, client):
    client.ingest("trip", [Turn("t1", "Ana", "hello")])
    assert store.list_namespaces() == [("trip",)]
    [item] = store.search(("trip",))
    assert (item.key, item.value) == ("t1", {"text": "hello", "speaker": "Ana"})
    assert item.created_at == langgraph.UNKNOWN_TIME


def test_a_batch_is_done_in_order(store):
    ops = [
        base.PutOp(ANA, "m1", MOVED),
        base.GetOp(ANA, "m1"),
        base.PutOp(ANA, "m1", None),
        base.GetOp(ANA, "m1"),
        base.ListNamespacesOp(),
    ]
    put, got, deleted, gone, namespaces = store.batch(ops)
    assert (put, got.value, deleted, gone, namespaces) == (None, MOVED, None, None, [])


@pytest.mark.parametrize("label", ["users.ana", "", "a\0b"])
@pytest.mark.parametrize(
    "op",
    [
        lambda namespace: base.GetOp(namespace, "m1"),
        lambda namespace: base.PutOp(namespace, "m1", LIKES),
        lambda namespace: base.PutOp(namespace, "m1", None),
        base.SearchOp,
        lambda namespace: base.SearchOp(namespace, query="Where?"),
    ],
    ids=["get", "put", "delete", "search", "extract"],
)
async def test_no_label_reaches_the_history_of_another_namespace(store, op, label):
    store.put(ANA, "m1", MOVED)
    with pytest.raises(InvalidInput, match="is no label"):
        store.batch([op((label,))])
    with pytest.raises(InvalidInput, match="is no label"):
        await store.abatch([op((label,))])
    assert store.get(ANA, "m1").value == MOVED
    assert store.list_namespaces() == [ANA]


async def test_the_same_for_asyncio(address, client):
    async with AsyncClient(address, tenant="t") as async_client:
        for store in (
            langgraph.BudgetMemStore(async_client=async_client),
            langgraph.BudgetMemStore(client=client),
        ):
            await store.aput(ANA, "m1", MOVED)
            assert (await store.aget(ANA, "m1")).value == MOVED
            [found] = await store.asearch(ANA, query="Where does Ana live?")
            assert "Ardvane" in found.value["text"]
            assert [item.key for item in await store.asearch(ANA, limit=1)] == ["m1"]
            assert await store.alist_namespaces() == [ANA]
            await store.adelete(ANA, "m1")
            assert await store.aget(ANA, "m1") is None


def test_there_is_no_time_to_live(store):
    with pytest.raises(NotImplementedError):
        store.put(ANA, "m1", MOVED, ttl=5)
