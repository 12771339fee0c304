"""The interceptor that tells what a message will take before it is decoded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message

from budgetmem.history import Places
from budgetmem.info import Limits
from budgetmem.proto.budgetmem.v1.memory_pb2 import DESCRIPTOR
from budgetmem.store.base import Size
from budgetmem.wire.parts import check_turn_ids, count_turns
from server.errors import Context, Handler, Unary, malformed
from server.room import Room, Share
from server.security.tenants import Tenants

_SERVICE = DESCRIPTOR.services_by_name["MemoryService"].full_name

INLINE_BYTES = 64 * 1024
"""Messages up to this size are looked at in the event loop, others in a worker: 16 MiB take a
tenth of a second and more."""

TURN_BYTES = 4096
"""What a turn takes while it is ingested, beside its text: objects, its vector."""

READ_TURN_BYTES = 1024
"""What a turn of a session takes that is read to write to it, beside its text. Measured: 0.8 to
1.7 KB of turns of 360 bytes, these included."""

T = TypeVar("T")
Hold = Callable[[bytes, Context], Awaitable[AbstractContextManager[None]]]


def ingest_room(limits: Limits) -> Room:
    """For the bytes of messages whose turns are ingested: of eight of the largest in all, of two
    of one tenant's."""
    return Room(_share(limits), "bytes of turns to ingest")


def session_places(limits: Limits) -> Places:
    """For the sessions that are read to write to them, as large as those messages in all and of one
    tenant. One that is larger takes all of its tenant's, and none of others'."""
    share = _share(limits)
    room = Room(share, "bytes of sessions to write to")

    def place(tenant: str, size: Size) -> AbstractContextManager[None]:
        return room.place(tenant, min(size.bytes + READ_TURN_BYTES * size.turns, share.tenant))

    return place


def _share(limits: Limits) -> Share:
    return Share(8 * limits.message_bytes, 2 * limits.message_bytes)


class Weighing(grpc.aio.ServerInterceptor):
    """Refuses messages of more turns than one may have, and holds a place in `room` for the bytes
    of those that are ingested. To be the last of all.

    Protobuf would make objects first, sixty times as large as what they are told by.
    """

    def __init__(self, tenants: Tenants, limits: Limits, room: Room | None = None) -> None:
        self._tenants = tenants
        self._limits = limits
        self._room = room or ingest_room(limits)
        self._holds: Mapping[str, Hold] = {
            f"/{_SERVICE}/Ingest": self._ingest,
            f"/{_SERVICE}/DeleteTurns": self._delete_turns,
        }

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        hold = self._holds.get(handler_call_details.method)
        if handler is None or hold is None:
            return handler
        # The stubs describe the handlers of threaded servers; ours are coroutines.
        behaviour, decode = cast(Unary, handler.unary_unary), handler.request_deserializer
        assert decode is not None

        async def weighed(raw: bytes, context: Context) -> Message:
            with await hold(raw, context):
                try:
                    message = decode(raw)
                except DecodeError as exc:
                    raise malformed() from exc
                return await behaviour(message, context)

        undecoded: Any = weighed
        return grpc.unary_unary_rpc_method_handler(
            undecoded, response_serializer=handler.response_serializer
        )

    async def _ingest(self, raw: bytes, context: Context) -> AbstractContextManager[None]:
        turns = await self._looked_at(count_turns, raw)
        tenant = self._tenants.of(context.invocation_metadata() or ())
        return self._room.place(tenant, len(raw) + TURN_BYTES * turns)

    async def _delete_turns(self, raw: bytes, context: Context) -> AbstractContextManager[None]:
        await self._looked_at(check_turn_ids, raw)
        return nullcontext()

    async def _looked_at(self, look: Callable[[bytes, Limits], T], raw: bytes) -> T:
        if len(raw) > INLINE_BYTES:
            return await asyncio.to_thread(look, raw, self._limits)
        return look(raw, self._limits)
