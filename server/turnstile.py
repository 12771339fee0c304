"""The interceptor behind which there are only so many calls at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack

import grpc

from budgetmem.errors import BudgetMemError
from server.errors import Handler, refusal
from server.observability.calls import text_headers
from server.room import PLACE_KEY, Rooms
from server.security.permissions import is_open
from server.security.tenants import Tenants


class Turnstile(grpc.aio.ServerInterceptor):
    """Takes a call's place before its message is read, and holds it until the call has ended: until
    the last message of a stream has left. It comes after what tells whose the call is.

    Who finds no place is Overloaded, and who is nobody Unauthenticated, with nothing of the message
    read.
    """

    def __init__(self, rooms: Rooms, tenants: Tenants) -> None:
        self._rooms = rooms
        self._tenants = tenants

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        place = ExitStack()
        try:
            place.enter_context(self._place(handler_call_details))
        except BudgetMemError as exc:
            return refusal(exc)
        # The call's own task. It also ends where the handler never runs: no message may come.
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: place.close())
        return await continuation(handler_call_details)

    def _place(self, details: grpc.HandlerCallDetails) -> AbstractContextManager[None]:
        name = text_headers(details.invocation_metadata or ()).get(PLACE_KEY, "")
        return self._rooms.place(details.method, self._tenant(details), name)

    def _tenant(self, details: grpc.HandlerCallDetails) -> str:
        if is_open(details.method):
            return ""  # anybody may call it, and nobody asked who it is
        return self._tenants.of(details.invocation_metadata or ())
