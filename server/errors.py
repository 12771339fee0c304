"""The one edge where exceptions become gRPC statuses: one table, one interceptor."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, NoReturn, TypeAlias, cast

import grpc
from google.protobuf.message import Message

from budgetmem import errors
from budgetmem.errors import BudgetMemError, InvalidInput
from budgetmem.wire.faults import DETAILS_KEY, FIELD_KEY, encode_fault

logger = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Unary = Callable[[Message, Context], Awaitable[Message]]
Stream = Callable[[Message, Context], AsyncGenerator[Message, None]]

STATUS: Mapping[type[BudgetMemError], grpc.StatusCode] = {
    errors.BudgetMemError: grpc.StatusCode.INTERNAL,
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    # A quota that is used up. Without RetryInfo: waiting does not help.
    errors.HistoryFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.BudgetTooSmall: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.BackboneUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.StoreDamaged: grpc.StatusCode.DATA_LOSS,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ServerUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.AssetError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ConfigError: grpc.StatusCode.FAILED_PRECONDITION,
}
"""An error that is not listed has the status of its nearest listed base."""

SERVER_FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS)
"""What whoever runs the server has to know of, and is logged."""

FIELD_BYTES = 500
"""Of a field's path in the trailing metadata; the status has all of it."""


def status_of(error: BudgetMemError) -> grpc.StatusCode:
    """The gRPC status of an error."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


async def abort(context: Context, error: BudgetMemError) -> NoReturn:
    """Ends the call with the error's status, its google.rpc.Status and its field."""
    code = status_of(error)
    if code in SERVER_FAULTS:
        logger.error("%s", error, exc_info=error)
    fault = encode_fault(error, code.value[0])
    # What is set already, the request id for example, would else be dropped.
    metadata = [*(context.trailing_metadata() or ()), (DETAILS_KEY, fault.SerializeToString())]
    if isinstance(error, InvalidInput):
        # ASCII only: gRPC refuses metadata that is not.
        field = error.field.encode("ascii", "backslashreplace")[:FIELD_BYTES]
        metadata.append((FIELD_KEY, field.decode()))
    await context.abort(code, fault.message, trailing_metadata=tuple(metadata))


def malformed() -> InvalidInput:
    """The error for a message that protobuf cannot read: its own says nothing of use."""
    return InvalidInput("request", "is no message of this method: it cannot be decoded")


def refusal(error: BudgetMemError) -> Handler:
    """A handler that ends a call of any kind with an error, before its message is read."""

    # Of a stream no message is waited for.
    async def refuse(_requests: object, context: Context) -> None:
        await abort(context, error)

    behaviour: Any = refuse
    return grpc.stream_unary_rpc_method_handler(behaviour)


class ErrorEdge(grpc.aio.ServerInterceptor):
    """Turns every BudgetMemError that leaves a handler into its status.

    Other exceptions are bugs: gRPC logs them with their trace and answers UNKNOWN.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        codec = (handler.request_deserializer, handler.response_serializer)
        # The stubs describe the handlers of threaded servers; ours are coroutines.
        if handler.response_streaming:
            stream: Any = _guarded_stream(cast(Stream, handler.unary_stream))
            return grpc.unary_stream_rpc_method_handler(stream, *codec)
        unary: Any = _guarded(cast(Unary, handler.unary_unary))
        return grpc.unary_unary_rpc_method_handler(unary, *codec)


def _guarded(behaviour: Unary) -> Unary:
    async def guarded(request: Message, context: Context) -> Message:
        try:
            return await behaviour(request, context)
        except BudgetMemError as exc:
            await abort(context, exc)

    return guarded


def _guarded_stream(behaviour: Stream) -> Stream:
    async def guarded(request: Message, context: Context) -> AsyncGenerator[Message, None]:
        try:
            async with aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    yield response
        except BudgetMemError as exc:
            await abort(context, exc)

    return guarded
