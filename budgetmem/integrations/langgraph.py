"""A memory store for LangGraph. Needs the extra `langgraph`.

    store = BudgetMemStore(client=client, budget=Budget(max_cost_usd=2e-5))
    store.put(("users", "ana"), "m1", {"text": "I moved to Lisbon in May."})
    [memory] = store.search(("users", "ana"), query="Where does Ana live?")
    print(memory.value["text"], memory.value["receipt"]["total"]["cost_usd"])

A namespace is a history; docs/integrations.md says what each call becomes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)
from typing_extensions import Unpack

from budgetmem.client import AsyncClient, Client, QueryOptions
from budgetmem.errors import Conflict, DuplicateTurn, InvalidInput, NotFound
from budgetmem.integrations.clients import Calls, Clients
from budgetmem.integrations.extraction import metadata_of, overlaid
from budgetmem.integrations.items import matches, same_value, turn_of, value_of
from budgetmem.types import Memory, Turn

Namespace = tuple[str, ...]

SEPARATOR = "."
"""Between the labels of a namespace in a history's name: LangGraph allows it in no label."""

MEMORY_KEY = "memory"
CREATED = "budgetmem.created"
"""The label of a turn that took the place of another: when the first of them was put."""

PUT_ATTEMPTS = 50
"""Of sixteen that put one key at once, without a pause, none needed 30."""

UNKNOWN_TIME = datetime.fromtimestamp(0, timezone.utc)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(timezone.utc)


class BudgetMemStore(BaseStore):
    """Namespaces are histories, items are turns, and a search is an extraction under the budget.

    - `("users", "ana")` is the history `users.ana`; an item's key is the turn's id.
    - `put` ingests. What is searched is the value's field `text`, or else the value as JSON;
      `index` is ignored, there is no `ttl`. Putting a key again with another value deletes the
      old turn first: a reader may miss the item between the two. Of several that put a key at
      once, the last one wins.
    - `search(namespace, query=...)` extracts from that one history, not from those below it, and
      returns one item that is not stored: its value has `text`, `turn_ids`,
      `evidence` and `receipt`.
    - `search(prefix)` without a query lists the items of all histories below that are not damaged,
      filtered; `get` and it read histories from their beginning. They ask no model.
    - `delete` erases the turn and all that was made from it.

    `options` hold for every search. Raises what the methods of `Client` raise.
    """

    def __init__(
        self,
        *,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        clock: Callable[[], datetime] = now,
        **options: Unpack[QueryOptions],
    ) -> None:
        self._clients = Clients(client, async_client)
        self._clock = clock
        self._options = overlaid(QueryOptions(), options)

    def within(self, **options: Unpack[QueryOptions]) -> BudgetMemStore:
        """The same store with other options, for example another budget."""
        return BudgetMemStore(
            client=self._clients.client,
            async_client=self._clients.async_client,
            clock=self._clock,
            **overlaid(self._options, options),
        )

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Does all, one after the other."""
        return self._clients.run(partial(self._all, tuple(ops)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """As `batch`, without blocking the event loop."""
        return await self._clients.arun(partial(self._all, tuple(ops)))

    async def _all(self, ops: Sequence[Op], calls: Calls) -> list[Result]:
        return [await self._one(op, calls) for op in ops]

    async def _one(self, op: Op, calls: Calls) -> Result:
        if isinstance(op, ListNamespacesOp):
            return await self._list(op, calls)
        check_labels(op.namespace_prefix if isinstance(op, SearchOp) else op.namespace)
        if isinstance(op, GetOp):
            return await self._get(op, calls)
        if isinstance(op, PutOp):
            await self._put(op, calls)
            return None
        # LangGraph's own stores take an empty query for none, too.
        if not op.query:
            return await self._find(op, calls)
        return await self._extract(op, op.query, calls)

    async def _get(self, op: GetOp, calls: Calls) -> Item | None:
        turn = await _turn(history_of(op.namespace), op.key, calls)
        return None if turn is None else item_of(op.namespace, turn)

    async def _put(self, op: PutOp, calls: Calls) -> None:
        history = history_of(op.namespace)
        if op.value is None:
            with suppress(NotFound):
                await calls.delete_turns(history, [op.key])
            return
        turn = turn_of(op.key, op.value, self._clock())
        for _ in range(PUT_ATTEMPTS):
            # Others may put or delete the key between any two of these calls.
            with suppress(Conflict, NotFound):
                try:
                    await calls.ingest(history, [turn])
                    return
                except DuplicateTurn:
                    old = await _turn(history, op.key, calls)
                if old is None:
                    continue
                if same_value(old, turn):
                    return
                turn = successor(old, turn)
                await calls.delete_turns(history, [op.key])
        raise Conflict(
            f"{PUT_ATTEMPTS} times others were first to write the item {op.key!r} of "
            f"{op.namespace}: put it again"
        )

    async def _list(self, op: ListNamespacesOp, calls: Calls) -> list[Namespace]:
        found = {
            namespace[: op.max_depth]
            for namespace in await _namespaces(calls)
            if all(fits(namespace, condition) for condition in op.match_conditions or ())
        }
        return sorted(found)[op.offset : op.offset + op.limit]

    async def _find(self, op: SearchOp, calls: Calls) -> list[SearchItem]:
        found: list[SearchItem] = []
        async for item in _below(op.namespace_prefix, calls):
            if len(found) >= op.offset + op.limit:
                break
            if matches(item.value, op.filter):
                found.append(item)
        return found[op.offset :]

    async def _extract(self, op: SearchOp, query: str, calls: Calls) -> list[SearchItem]:
        if op.filter:
            raise InvalidInput("filter", "does not go with a query: a memory is made of all turns")
        # Nothing is spent on what would not be shown.
        if op.offset > 0 or op.limit < 1:
            return []
        history = history_of(op.namespace_prefix)
        try:
            memory = await calls.extract(history, query, **self._options)
        except NotFound:
            await _check_none_below(op.namespace_prefix, calls)
            return []
        return [self._made(op.namespace_prefix, memory)]

    def _made(self, namespace: Namespace, memory: Memory) -> SearchItem:
        value = {"text": memory.text, **metadata_of(history_of(namespace), memory)}
        made = self._clock()
        return SearchItem(namespace, MEMORY_KEY, value, created_at=made, updated_at=made)


def check_labels(namespace: Namespace) -> None:
    """Raises InvalidInput for labels that would name the history of another namespace.

    LangGraph looks at those of its own methods, but not at what is handed to `batch`.
    """
    for label in namespace:
        if not label or SEPARATOR in label or "\0" in label:
            raise InvalidInput(
                "namespace", f"{label!r} is no label: empty, or with '.' or NUL in it"
            )


def history_of(namespace: Namespace) -> str:
    """The history's name. Raises InvalidInput for no labels at all."""
    if not namespace:
        raise InvalidInput("namespace", "must not be empty: it names the history")
    return SEPARATOR.join(namespace)


def namespace_of(history: str) -> Namespace:
    """The namespace whose history has this name."""
    return tuple(history.split(SEPARATOR))


def item_of(namespace: Namespace, turn: Turn) -> SearchItem:
    """The item that a turn is, updated at the turn's time; 1970 where it has none."""
    return SearchItem(
        namespace,
        turn.id,
        value_of(turn),
        created_at=created_at(turn),
        updated_at=turn.time or UNKNOWN_TIME,
    )


def created_at(turn: Turn) -> datetime:
    """When the item was put first: the turn's time, unless it took the place of others."""
    kept = turn.metadata.get(CREATED)
    return datetime.fromisoformat(kept) if kept else turn.time or UNKNOWN_TIME


def successor(old: Turn, turn: Turn) -> Turn:
    """The turn that takes the place of an older one, and keeps the time of its creation."""
    return replace(turn, metadata={**turn.metadata, CREATED: created_at(old).isoformat()})


def fits(namespace: Namespace, condition: MatchCondition) -> bool:
    """Whether it begins, or ends, with the condition's path, in which `*` is any label."""
    skipped = len(namespace) - len(condition.path)
    if skipped < 0:
        return False
    start = 0 if condition.match_type == "prefix" else skipped
    labels = zip(namespace[start:], condition.path, strict=False)
    return all(wanted in ("*", label) for label, wanted in labels)


async def _turn(history: str, turn_id: str, calls: Calls) -> Turn | None:
    with suppress(NotFound):
        async for turn in calls.export(history):
            if turn.id == turn_id:
                return turn
    return None


async def _namespaces(calls: Calls) -> list[Namespace]:
    return sorted(namespace_of(info.history) for info in await calls.histories())


async def _below(prefix: Namespace, calls: Calls) -> AsyncIterator[SearchItem]:
    """The items of all histories below. What is damaged there, or goes meanwhile, keeps none of the
    others back; a damaged history that is asked for by its own name is an error."""
    for info in await calls.histories():
        namespace = namespace_of(info.history)
        if namespace[: len(prefix)] != prefix or (info.damaged and namespace != prefix):
            continue
        with suppress(NotFound):
            async for turn in calls.export(info.history):
                yield item_of(namespace, turn)


async def _check_none_below(prefix: Namespace, calls: Calls) -> None:
    for namespace in await _namespaces(calls):
        if namespace[: len(prefix)] == prefix:
            raise InvalidInput(
                "namespace_prefix",
                f"{prefix} holds no items of its own; a search is one extraction from one "
                f"namespace, under one budget: name it, for example {namespace}",
            )
