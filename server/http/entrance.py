"""Who may come in, and whether there is room: asked before the body of a request is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

from server.room import Rooms
from server.security.security import Security
from server.security.tenants import Metadata

Admit: TypeAlias = Callable[[str, Metadata], AbstractAsyncContextManager[None]]
"""Asked with `/package.Service/Method` and the call's metadata; holds the call's place."""


def entrance(security: Security, rooms: Rooms) -> Admit:
    """Raises what the gate would refuse a call with, and Overloaded where there is no place."""

    @asynccontextmanager
    async def admit(method: str, metadata: Metadata) -> AsyncIterator[None]:
        with rooms.place(method, await security.admit(method, metadata)):
            yield

    return admit
