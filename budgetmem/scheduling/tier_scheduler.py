"""The asyncio face of the tier scheduler: callers wait here until their backbone has room."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, TypeVar

from opentelemetry.trace import Tracer
from typing_extensions import Self

from budgetmem.errors import InvalidInput
from budgetmem.scheduling import interface
from budgetmem.scheduling.batch_calls import Batch, Member, Portion
from budgetmem.scheduling.interface import MAX_TOKENS, NEVER
from budgetmem.scheduling.loop_bridge import Entry, Item, LoopBridge
from budgetmem.scheduling.refusals import Refusals
from budgetmem.scheduling.sizes import GroupSizes, Sizes
from budgetmem.timeouts import in_line
from budgetmem.tracing import NO_TRACER, Attributes, traced

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")

SLICE = 1024
"""Payloads of one `map` that are in line at a time."""


@dataclass(frozen=True)
class Work:
    """One item of work, as far as the scheduler looks at it.

    `queue` is (stage, model); `tokens` (1 to 2**20) are its cost and its length; calls of one model
    with the same non-empty `prefix` share that text. `born` and `deadline` are seconds of
    time.monotonic(); `born` None is now.
    """

    queue: tuple[str, str]
    tenant: str = ""
    tokens: int = 1
    prefix: str = ""
    born: float | None = None
    deadline: float = math.inf


@dataclass(frozen=True)
class SchedulerStats:
    """Counters since the start: of queues by (stage, model), of all else by model.

    `batches` are those of `map`; a call of `run` goes alone. `groups` are the prefix groups that
    have ended.
    """

    queues: dict[tuple[str, str], dict[str, Any]]
    backbones: dict[str, dict[str, int]]
    batches: Mapping[str, Sizes]
    groups: Mapping[str, Sizes]


class TierScheduler:
    """Async face over a scheduler, for one event loop: that of its first use.

    `queues` gives each (stage, model) its index in the scheduler's plan. All queues of a model must
    feed one backbone, and backbones be in the order in which their models come first in the queues.
    `tracer` gets a span for every wait. Closes the scheduler when it is closed itself; also as a
    context manager.
    """

    def __init__(
        self,
        scheduler: interface.Scheduler,
        queues: Mapping[tuple[str, str], int],
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._scheduler = scheduler
        self._tracer = tracer
        self._queues = dict(queues)
        self._models = {index: model for (_, model), index in queues.items()}
        refusals = Refusals(scheduler, {index: name for name, index in queues.items()})
        self._bridge = LoopBridge(scheduler, refusals, self._start)
        self._batches: set[Batch] = set()
        self._sizes: dict[str, Sizes] = {}
        self._groups = GroupSizes()

    async def run(self, work: Work, call: Callable[[Callable[[], None]], Awaitable[T]]) -> T:
        """Waits for a credit, then awaits `call(on_first_token)` and returns its result.

        `on_first_token` is for the call to report that the prompt has been read, in the loop's
        thread; siblings that share its prefix wait for that. However the call ends, its credit is
        returned. A caller that is cancelled while it waits leaves the line at once.

        Raises Overloaded if the queue is full, DeadlineExceeded if the deadline cannot be met,
        ServerUnavailable once closed, InvalidInput, and what `call` raises.
        """
        entry = Entry(self._item(work), self._bridge.attach().create_future())
        self._bridge.submit([entry])
        self._groups.enter(entry.item.group)
        went = ok = False
        try:
            span = traced(self._tracer, _span_name("wait", work), _attributes([work]))
            with span, in_line(partial(self._late, [entry])):
                await entry.future
            went = True
            result = await call(partial(self._bridge.first_token, entry))
            ok = True
        finally:
            self._bridge.withdraw([entry])
            self._bridge.finish(entry, ok)
            self._groups.leave(work.queue[1], entry.item.group, went=went)
        return result

    async def map(
        self,
        works: Sequence[Work],
        payloads: Sequence[P],
        call: Callable[[list[P]], Awaitable[Sequence[R]]],
    ) -> list[R]:
        """The results of `payloads`, in their order, each an item of the work beside it.

        What the scheduler dispatches together is one `call(batch)`, also for several callers if
        their `call` is equal (`==`, and hashable: the same function, or method of one object).
        Different ones in one dispatch are called side by side. A batch goes on while one of its
        callers waits. Payloads stand in line 1024 at a time.

        Raises as `run` does, and BackboneError if `call` returns another number of results. After
        the first failure nothing is left in line; what `call` raises goes to all of its callers.
        """
        if len(works) != len(payloads):
            raise InvalidInput("payloads", f"{len(payloads)} for {len(works)} works")
        if not isinstance(call, Hashable):
            raise InvalidInput("call", "is not hashable")
        results: list[R] = []
        for start in range(0, len(payloads), SLICE):
            stop = start + SLICE
            results += await self._map_slice(works[start:stop], payloads[start:stop], call)
        return results

    async def close(self) -> None:
        """Refuses all that waits or comes, and returns when the calls in flight have ended.

        Not to be awaited by one of these calls. May be called again.
        """
        await self._bridge.close()

    def stats(self) -> SchedulerStats:
        """What became of the work so far; the counters are those of interface.Scheduler.

        May be called from any thread.
        """
        of_queues = self._scheduler.queue_stats()
        names = sorted(self._queues, key=self._queues.__getitem__)
        models = dict.fromkeys(model for _, model in names)
        return SchedulerStats(
            queues={name: of_queues[self._queues[name]] for name in names},
            backbones=dict(zip(models, self._scheduler.backbone_stats(), strict=True)),
            batches=dict(self._sizes),
            groups=dict(self._groups.by_model),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _map_slice(
        self,
        works: Sequence[Work],
        payloads: Sequence[P],
        call: Callable[[list[P]], Awaitable[Sequence[R]]],
    ) -> list[R]:
        loop = self._bridge.attach()
        with traced(self._tracer, _span_name("batch", works[0]), _attributes(works)) as span:
            portion = Portion(
                call, len(payloads), loop.create_future(), partial(span.add_event, "dispatched")
            )
            portion.members = [
                Member(self._item(work), portion, index, payload)
                for index, (work, payload) in enumerate(zip(works, payloads, strict=True))
            ]
            self._bridge.submit(portion.members)
            try:
                with in_line(lambda: not portion.begun and self._late(portion.members)):
                    await portion.future
            finally:
                self._bridge.withdraw(portion.members)
                portion.leave()
        return portion.results

    def _late(self, entries: Sequence[Entry]) -> bool:
        return min(entry.item.deadline for entry in entries) <= self._scheduler.now()

    def _start(self, dispatched: Sequence[tuple[Entry, int]]) -> None:
        batches: dict[Any, list[Member]] = {}
        for entry, batch in dispatched:
            if isinstance(entry, Member):
                batches.setdefault((batch, entry.portion.call), []).append(entry)
            else:
                entry.future.set_result(None)
        loop = asyncio.get_running_loop()
        for members in batches.values():
            model = self._models[members[0].item.queue]
            self._sizes.setdefault(model, Sizes()).record(len(members))
            self._batches.add(Batch(members, loop, self._ended))

    def _ended(self, batch: Batch, ok: bool) -> None:
        self._batches.discard(batch)
        for member in batch.members:
            self._bridge.finish(member, ok)

    def _item(self, work: Work) -> Item:
        """Checks the work here, since a core refuses a whole array for one bad item."""
        queue = self._queues.get(work.queue)
        if queue is None:
            raise InvalidInput("queue", f"there is none of {work.queue}")
        if not 1 <= work.tokens <= MAX_TOKENS:
            raise InvalidInput("tokens", f"{work.tokens} is not from 1 to {MAX_TOKENS}")
        return Item(
            group=_group(work.queue[1], work.prefix),
            born=None if work.born is None else _nanoseconds("born", work.born),
            deadline=_nanoseconds("deadline", work.deadline),
            queue=queue,
            tenant=work.tenant,
            tokens=work.tokens,
        )


def _span_name(what: str, work: Work) -> str:
    stage, model = work.queue
    return f"{what} {stage} {model}"


def _attributes(works: Sequence[Work]) -> Attributes:
    """What a span tells of works of one queue."""
    stage, model = works[0].queue
    return {
        "budgetmem.stage": stage,
        "budgetmem.model": model,
        "budgetmem.items": len(works),
        "budgetmem.queued_tokens": sum(work.tokens for work in works),
    }


def _group(model: str, prefix: str) -> int:
    """The number of a prefix group: 0 of no prefix, and of no other."""
    if not prefix:
        return 0
    text = f"{model}\0{prefix}".encode(errors="surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little") or 1


def _nanoseconds(field: str, seconds: float) -> int:
    if math.isnan(seconds):
        raise InvalidInput(field, "not a number")
    return NEVER if seconds * 1e9 >= NEVER else max(0, int(seconds * 1e9))
