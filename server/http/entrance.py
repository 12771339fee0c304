"""Who may come in, and whether there is room: asked before the body of a request is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

from server.room import Rooms
from server.security.security import Security
from server.security.tenants import Metadata

Admit: TypeAlias = Callable[[str, Metadata], AbstractAsyncContextManager[str]]
"""Asked with `/package.Service/Method` and the call's metadata; holds the call's place, and tells
the name under which it is lent to the call."""


def entrance(security: Security, rooms: Rooms) -> Admit:
    """Raises what the gate would refuse a call with, and Overloaded where there is no place."""

    @asynccontextmanager
    async def admit(method: str, metadata: Metadata) -> AsyncIterator[str]:
        with rooms.lending(method, await security.admit(method, metadata)) as name:
            yield name

    return admit
