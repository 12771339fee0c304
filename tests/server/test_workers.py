"""Which thread does what: a resolver that hangs holds up nobody who needs no name."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress

import httpx
import pytest

from server.security.jwt_keys import fetcher
from server.workers import RESOLVERS, Workers

SOON_S = 30.0
"""Far from any time that is meant, on a machine that may be busy."""


class Resolver:
    """Knows no host, and says so when it is let go. `asked` is released for every question."""

    def __init__(self):
        self.asked = threading.Semaphore(0)
        self.let_go = threading.Event()

    def __call__(self, host, *_args, **_options):
        self.asked.release()
        assert self.let_go.wait(60)
        raise socket.gaierror(f"no host {host!r}")


@pytest.fixture
def resolver(monkeypatch):
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.let_go.set()


@pytest.fixture
async def workers():
    workers = Workers()
    asyncio.get_running_loop().set_default_executor(workers)
    return workers


async def is_asked(resolver):
    while not resolver.asked.acquire(blocking=False):
        await asyncio.sleep(0.001)


async def name_of_thread():
    return await asyncio.wait_for(
        asyncio.to_thread(lambda: threading.current_thread().name), SOON_S
    )


async def test_keys_whose_host_is_not_found_hold_up_no_work(resolver, workers):
    async with httpx.AsyncClient(trust_env=False) as client:
        fetching = asyncio.create_task(fetcher("https://idp.example/keys", client)())
        await is_asked(resolver)
        assert await name_of_thread() == "worker_0"
        assert not fetching.done()
        fetching.cancel()
        with suppress(asyncio.CancelledError):
            await fetching


async def test_names_are_looked_up_side_by_side(resolver, workers):
    loop = asyncio.get_running_loop()
    looking = [asyncio.create_task(loop.getaddrinfo(f"h{n}", 443)) for n in range(RESOLVERS)]
    for _ in looking:
        await is_asked(resolver)
    resolver.let_go.set()
    for task in looking:
        with pytest.raises(socket.gaierror, match="no host 'h"):
            await task


async def test_everybodys_work_is_done_in_one_line(workers):
    done = []
    await asyncio.gather(*(asyncio.to_thread(done.append, number) for number in range(100)))
    assert done == list(range(100))
    assert {await name_of_thread() for _ in range(3)} == {"worker_0"}


async def test_the_end_waits_for_work_and_for_no_name(resolver):
    workers, working = Workers(), threading.Event()
    name = workers.submit(socket.getaddrinfo, "idp.example", 443)
    await is_asked(resolver)
    work = workers.submit(working.wait, 60)
    ending = asyncio.create_task(asyncio.to_thread(workers.shutdown))
    await asyncio.sleep(0.01)
    assert not ending.done()
    working.set()
    await asyncio.wait_for(ending, SOON_S)
    assert (work.done(), name.done()) == (True, False)
    with pytest.raises(RuntimeError, match="shutdown"):
        workers.submit(socket.getaddrinfo, "idp.example", 443)
