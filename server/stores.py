"""The store that a server opens, and the threads that wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from budgetmem.store.base import Store
from budgetmem.store.opening import is_url, opened

FOLDER = "histories"
"""In the folder of the server's data."""

WAITERS = 8
"""Threads for a store across a network, as many as it has connections. They wait for it most of the
time; on the one worker of everything else a writer that waits for another replica would hold up
every call."""


@dataclass(frozen=True)
class OpenStore:
    """A store, and the threads for its calls; None: those of asyncio."""

    store: Store
    threads: Executor | None = None


@contextmanager
def opened_store(where: str) -> Iterator[OpenStore]:
    """The store in a folder or database. Raises ConfigError, and StoreUnavailable."""
    with ExitStack() as stack:
        store = stack.enter_context(opened(where))
        threads = None
        if is_url(where):
            threads = stack.enter_context(ThreadPoolExecutor(WAITERS, thread_name_prefix="store"))
        yield OpenStore(store, threads)
