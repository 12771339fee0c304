"""The interceptor that waits for a call's message only so long."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError, Message

from budgetmem.errors import DeadlineExceeded, InvalidInput
from budgetmem.timeouts import within
from server.errors import Context, Handler, Stream, Unary, abort, malformed
from server.security.permissions import is_open


class Arrival(grpc.aio.ServerInterceptor):
    """Ends a call whose message does not come within `message_s` seconds, and one that needs no
    credential within `check_s`: it has a place by then. Only what watches calls may come before.

    gRPC itself waits until the caller leaves, also for a message that the caller has done without.
    """

    def __init__(self, message_s: float, check_s: float) -> None:
        self._message_s = message_s
        self._check_s = check_s

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        seconds = self._check_s if is_open(handler_call_details.method) else self._message_s
        codec = (handler.request_deserializer, handler.response_serializer)
        # Of a stream of messages gRPC leaves the reading to the handler.
        if handler.response_streaming:
            stream: Any = _read_stream(cast(Stream, handler.unary_stream), seconds)
            return grpc.stream_stream_rpc_method_handler(stream, *codec)
        unary: Any = _read(cast(Unary, handler.unary_unary), seconds)
        return grpc.stream_unary_rpc_method_handler(unary, *codec)


def _read(behaviour: Unary, seconds: float) -> Callable[[object, Context], Awaitable[Message]]:
    async def read(_requests: object, context: Context) -> Message:
        with _let_go():
            return await behaviour(await _message(context, seconds), context)

    return read


def _read_stream(
    behaviour: Stream, seconds: float
) -> Callable[[object, Context], AsyncGenerator[Message, None]]:
    async def read(_requests: object, context: Context) -> AsyncGenerator[Message, None]:
        with _let_go():
            async with aclosing(behaviour(await _message(context, seconds), context)) as responses:
                async for response in responses:
                    yield response

    return read


@contextmanager
def _let_go() -> Iterator[None]:
    """Empties the frames that the end of a call went through, in which its message is.

    A context keeps the exception that it was aborted with, and the frames of that keep the context:
    all of it would stay in memory until garbage is collected, which may take minutes.
    """
    try:
        yield
    except grpc.aio.AbortError as exc:
        error: BaseException | None = exc
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__context__
        raise


async def _message(context: Context, seconds: float) -> Message:
    try:
        message = await within(seconds, context.read())
    except asyncio.TimeoutError:
        await abort(context, DeadlineExceeded(f"the message took longer than {seconds:g} s"))
    except DecodeError:
        await abort(context, malformed())
    if message is grpc.aio.EOF:
        await abort(context, InvalidInput("request", "is missing"))
    return cast(Message, message)
