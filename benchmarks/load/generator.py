"""The generator, for a process of its own: sends what is due, when it is due, and takes times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count

import grpc

from benchmarks.load.arrivals import Arrival
from benchmarks.load.measures import OK, Sample
from budgetmem.client.aio import AsyncClient
from budgetmem.errors import BudgetMemError
from budgetmem.tiers import Tier

Ask = Callable[[str, int], Awaitable[str]]
"""Asks a tenant's question, by its index, and returns the status."""


@dataclass(frozen=True)
class Workload:
    """What is asked, and how. `questions` are pairs of history and text."""

    server: str
    questions: tuple[tuple[str, str], ...]
    call: str
    strategy: str
    tier: str | None
    timeout_s: float


def offer(workload: Workload, arrivals: Sequence[Arrival]) -> list[Sample]:
    """Open loop: sends every arrival at its time, however many are under way."""

    async def run(ask: Ask) -> list[Sample]:
        return await replay(arrivals, ask, time.monotonic, asyncio.sleep)

    return asyncio.run(_connected(workload, {a.tenant for a in arrivals}, run))


def saturate(workload: Workload, tenant: str, workers: int, seconds: float) -> list[Sample]:
    """Closed loop: `workers` ask one question after the other, for so many seconds."""

    async def run(ask: Ask) -> list[Sample]:
        async def next_one(question: int) -> str:
            return await ask(tenant, question % len(workload.questions))

        rounds = await circle(workers, seconds, next_one, time.monotonic)
        return [Sample(tenant, sent, sent, finished, status) for sent, finished, status in rounds]

    return asyncio.run(_connected(workload, {tenant}, run))


async def replay(
    arrivals: Sequence[Arrival],
    ask: Ask,
    now: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> list[Sample]:
    """A sample for each arrival, in their order. `now` and `sleep` are in seconds."""
    begin = now()

    async def one(arrival: Arrival) -> Sample:
        sent = now() - begin
        status = await ask(arrival.tenant, arrival.question)
        return Sample(arrival.tenant, arrival.at, sent, now() - begin, status)

    tasks: list[asyncio.Task[Sample]] = []
    for arrival in arrivals:
        wait = begin + arrival.at - now()
        # Also when it is late already: answers are taken from the network only while this waits.
        await sleep(max(wait, 0.0))
        tasks.append(asyncio.create_task(one(arrival)))
    return list(await asyncio.gather(*tasks))


async def circle(
    workers: int, seconds: float, ask: Callable[[int], Awaitable[str]], now: Callable[[], float]
) -> list[tuple[float, float, str]]:
    """When each call of a closed loop was sent and finished, and its status; calls are numbered."""
    begin = now()
    numbers = count()
    rounds: list[tuple[float, float, str]] = []

    async def work() -> None:
        while (sent := now() - begin) < seconds:
            status = await ask(next(numbers))
            rounds.append((sent, now() - begin, status))

    await asyncio.gather(*(work() for _ in range(workers)))
    return rounds


async def _connected(
    workload: Workload, tenants: set[str], run: Callable[[Ask], Awaitable[list[Sample]]]
) -> list[Sample]:
    async with AsyncExitStack() as stack:
        clients = {
            tenant: await stack.enter_async_context(AsyncClient(workload.server, tenant=tenant))
            for tenant in sorted(tenants)
        }
        # Connecting is not part of what is measured.
        await asyncio.gather(*(client.info() for client in clients.values()))

        async def ask(tenant: str, question: int) -> str:
            return await _status(clients[tenant], workload, question)

        return await run(ask)


async def _status(client: AsyncClient, workload: Workload, question: int) -> str:
    history, text = workload.questions[question]
    tier = None if workload.tier is None else Tier[workload.tier.upper()]
    call = client.answer if workload.call == "answer" else client.extract
    try:
        await call(
            history,
            text,
            strategy=workload.strategy,
            tier=tier,
            timeout_s=workload.timeout_s,
        )
    except BudgetMemError as exc:
        return status_of(exc)
    return OK


def status_of(error: BudgetMemError) -> str:
    """The gRPC status behind a client's error, or the error's name if it did not come so far."""
    cause = error.__cause__
    if isinstance(cause, grpc.aio.AioRpcError):
        return str(cause.code().name)
    return type(error).__name__
