"""One route: every request is one gRPC call, which ends when its caller leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from budgetmem.info import Limits
from server.http.entrance import Admit
from server.http.faults import JSON, fault_of
from server.http.framing import Framing, framing_of, to_json
from server.http.middleware import request_id
from server.http.requests import (
    INLINE_BYTES,
    body_of,
    check_json,
    message_of,
    metadata_of,
    timeout_of,
)
from server.http.routes import Route
from server.room import PLACE_KEY

HEARTBEAT_S = 15.0
"""Between signs of life of a stream that has nothing to tell: proxies give up silent ones."""

Call = Any
"""A call of gRPC's channel; its stubs know no messages but by type variables."""

BODY_S = 60.0
"""For a whole body, however slowly it comes: 16 MiB in that time are 280 kB a second."""


@dataclass(frozen=True)
class Bounds:
    """What a request may take: messages within `limits`, `body_s` seconds for its body. A stream
    gives a sign of life every `heartbeat_s`."""

    limits: Limits = field(default_factory=Limits)
    body_s: float = BODY_S
    heartbeat_s: float = HEARTBEAT_S


class Endpoint:
    """An ASGI application that answers the requests of one route.

    `admit` raises what a caller is to be refused with before the body is read. Raises
    HTTPException, BudgetMemError and AioRpcError as long as nothing was sent; after that a stream
    ends with an event that tells the error.
    """

    def __init__(
        self, route: Route, channel: grpc.aio.Channel, admit: Admit, bounds: Bounds
    ) -> None:
        self._route = route
        self._admit = admit
        self._bounds = bounds
        # Of large bodies one at a time is there as objects: the worker takes them by pieces.
        self._turn = asyncio.Lock()
        self._streams: bool = route.method.server_streaming
        response: Any = GetMessageClass(route.method.output_type)
        rpc: Any = channel.unary_stream if self._streams else channel.unary_unary
        self._rpc = rpc(route.grpc_path, response_deserializer=response.FromString)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        framing = framing_of(request.headers.get("accept", "")) if self._streams else None
        metadata = metadata_of(request.headers, request_id(scope))
        timeout = timeout_of(request.headers)
        async with self._admit(self._route.grpc_path, metadata) as place:
            try:
                message = await self._message(request)
            except ClientDisconnect:
                return
            named = (*metadata, (PLACE_KEY, place))
            call = self._rpc(message, metadata=named, timeout=timeout)
            try:
                await while_there(
                    receive,
                    _unary(call, scope, receive, send)
                    if framing is None
                    else self._stream(call, framing, send),
                )
            finally:
                call.cancel()

    async def _message(self, request: Request) -> bytes:
        body = b""
        if self._route.body is not None:
            check_json(request.headers)
            body = await body_of(request, self._bounds.limits.message_bytes, self._bounds.body_s)
        most = self._bounds.limits.message_turns
        async with self._turn if len(body) > INLINE_BYTES else nullcontext():
            message = await message_of(self._route, request.path_params, body, most)
            # Not kept as objects while the call works: they can take many times as much.
            return message.SerializeToString()

    async def _stream(self, call: Call, framing: Framing, send: Send) -> None:
        message = await call.read()
        headers = [(b"content-type", framing.media_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            while message is not grpc.aio.EOF:
                await _send_part(send, framing.message(message))
                message = await self._next(call, framing, send)
        except grpc.aio.AioRpcError as exc:
            await _send_part(send, framing.fault(fault_of(exc)))
        await send({"type": "http.response.body"})

    async def _next(self, call: Call, framing: Framing, send: Send) -> Message:
        reading = asyncio.ensure_future(call.read())
        while not (await asyncio.wait({reading}, timeout=self._bounds.heartbeat_s))[0]:
            await _send_part(send, framing.heartbeat)
        message: Message = reading.result()
        return message


async def _unary(call: Call, scope: Scope, receive: Receive, send: Send) -> None:
    message = await call
    await Response(to_json(message), media_type=JSON)(scope, receive, send)


async def _send_part(send: Send, part: bytes) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": True})


async def while_there(receive: Receive, work: Awaitable[None]) -> None:
    """Does the work, and cancels it if the caller leaves before it is done.

    Raises what the work raises. The body must have been read before.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        await _finish(working, leaving)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _finish(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
