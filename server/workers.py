"""The threads of a server's event loop: one for everybody's work, and some for names of hosts."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

WORKERS = 1
"""Threads for what would hold up the event loop: searches, tokenizing. They hold Python's global
lock most of the time: with two, the event loop gets it too seldom to accept calls under load."""

RESOLVERS = 8
"""Threads that wait for names of hosts. One whose caller has left waits on, as long as the system's
resolver does."""


class Workers(ThreadPoolExecutor):
    """The default executor of a server's event loop, where everybody's work waits in one line.

    asyncio looks up names of hosts on its default executor as well: those of endpoints, of a
    database, of an identity provider, which a stranger's token may be asked of. They get threads of
    their own, so that a resolver that hangs holds up nobody who needs none.
    """

    def __init__(self) -> None:
        super().__init__(WORKERS, thread_name_prefix="worker")
        self._resolvers = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="names")

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As any executor does, in the threads that are right for `fn`."""
        looks_up = fn is socket.getaddrinfo
        submit = self._resolvers.submit if looks_up else super().submit
        return submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more work, and waits for what there is; for no name of a host."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)
        super().shutdown(wait, cancel_futures=cancel_futures)
