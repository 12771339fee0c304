"""The store that a server opens, and the threads that wait for it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, aclosing, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from budgetmem.errors import ConfigError
from budgetmem.store.base import Store
from budgetmem.store.opening import erased_elsewhere, is_url, postgres_store
from budgetmem.store.sqlite import SqliteStore
from server.erasure import Records

FOLDER = "histories"
"""In the folder of the server's data."""

WAITERS = 8
"""Threads for a store across a network, as many as it has connections. They wait for it most of the
time; on the one worker of everything else a writer that waits for another replica would hold up
every call."""


class Memories(Protocol):
    """What models keep of recent texts (`budgetmem.scheduling.models.ScheduledModels`)."""

    def forget(self, tenant: str) -> None: ...

    def forget_all(self) -> None: ...


@dataclass(frozen=True)
class OpenStore:
    """A store, and what comes with it.

    `threads` are for its calls (None: those of asyncio), `erased` are tenants of whom any server
    erases something there (None: somebody's), `records` keeps records of deletions. A folder has
    none of these.
    """

    store: Store
    threads: Executor | None = None
    erased: AsyncGenerator[str | None, None] | None = None
    records: Records | None = None

    async def keep_forgetting(self, memories: Memories) -> None:
        """Empties the memories of whatever another server erases, for ever."""
        if self.erased is None:
            return
        async with aclosing(self.erased) as erased:
            async for tenant in erased:
                if tenant is None:
                    memories.forget_all()
                else:
                    memories.forget(tenant)


def folder_store(folder: Path) -> OpenStore:
    """The store in a folder. Its calls never wait for another program: they would do so on the one
    worker of everything else."""
    return OpenStore(SqliteStore(folder, waits=False))


@contextmanager
def opened_store(where: str) -> Iterator[OpenStore]:
    """The store in a folder or database, whose calls do not wait for who holds a history: one
    tenant's would keep the threads from all others. Raises ConfigError, and StoreUnavailable."""
    with ExitStack() as stack:
        if not is_url(where):
            folder = Path(where).expanduser()
            _check_folder(folder)
            yield folder_store(folder)
            return
        store = stack.enter_context(closing(postgres_store()(where, waits=False)))
        threads = stack.enter_context(ThreadPoolExecutor(WAITERS, thread_name_prefix="store"))
        yield OpenStore(store, threads, erased_elsewhere(where), store)


def _check_folder(folder: Path) -> None:
    """Makes it, and fails now rather than at the first call that writes."""
    why = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        why = exc.strerror
    if why is None and not os.access(folder, os.W_OK | os.X_OK):
        why = "Permission denied"
    if why is not None:
        raise ConfigError(
            f"histories cannot be kept in {folder} ({why}): name a folder of your own, --data-dir"
        )
