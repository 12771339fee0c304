"""The calls of both services, from their descriptors, and gRPC played without a network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast
from urllib.parse import quote

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from benchmarks.chaos.fuzz.rules import expect
from budgetmem.client.failures import translated
from budgetmem.errors import BudgetMemError, InvalidInput
from budgetmem.proto.budgetmem.v1 import admin_pb2, memory_pb2
from budgetmem.wire.requests import TENANT_KEY
from server.errors import abort

Metadata = tuple[Any, ...]
"""Pairs of a name and a text, or bytes where the name ends in `-bin`."""

PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
"""What gRPC sends of a message as it is; of other bytes each takes three."""

METADATA_BYTES = 8 * 1024
"""What HTTP/2 peers take, as a rule: a status with more than that does not arrive."""


@dataclass(frozen=True)
class Method:
    """A call of one of the services."""

    service: str
    name: str
    request: type[Message]
    response: type[Message]
    streams: bool


def _methods() -> Iterator[Method]:
    for file in (memory_pb2, admin_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            yield from (_method(service.name, method) for method in service.methods)


def _method(service: str, method: MethodDescriptor) -> Method:
    return Method(
        service,
        method.name,
        GetMessageClass(method.input_type),
        GetMessageClass(method.output_type),
        method.server_streaming,
    )


METHODS: Sequence[Method] = tuple(_methods())
"""Every call there is."""


@dataclass
class Failure(grpc.RpcError):
    """How a call ended, as the client's gRPC tells it."""

    status: grpc.StatusCode
    message: str
    metadata: Metadata = ()

    def code(self) -> grpc.StatusCode:
        return self.status

    def details(self) -> str:
        return self.message

    def trailing_metadata(self) -> Metadata:
        return self.metadata


@dataclass(frozen=True)
class Context:
    """A call as the server's handlers see it. A deadline is not set."""

    tenant: str

    def invocation_metadata(self) -> Metadata:
        return ((TENANT_KEY, self.tenant),)

    def trailing_metadata(self) -> Metadata:
        return ()

    def time_remaining(self) -> None:
        return None

    async def abort(
        self, code: grpc.StatusCode, details: str, trailing_metadata: Metadata = ()
    ) -> NoReturn:
        raise Failure(code, details, trailing_metadata)


async def made(servicer: object, method: Method, message: Message, context: Context) -> None:
    """Makes a call and takes all that comes of it, a refusal as the client would get it."""
    answer = getattr(servicer, method.name)(message, context)
    try:
        if method.streams:
            async for _ in answer:
                pass
        else:
            await answer
    except BudgetMemError as exc:
        await _refused(exc, context)


async def _refused(error: BudgetMemError, context: Context) -> None:
    try:
        await abort(cast(Any, context), error)
    except Failure as failure:
        _check(failure, error)


def _check(failure: Failure, error: BudgetMemError) -> None:
    """A refusal arrives, whole, and as the error that it was."""
    size = len(quote(failure.message, safe=PLAIN))
    size += sum(len(key) + _sent_bytes(key, value) for key, value in failure.metadata)
    expect(size <= METADATA_BYTES, "a refusal is small enough to arrive")
    for key, value in failure.metadata:
        sendable = key.endswith("-bin") or (isinstance(value, str) and _printable(value))
        expect(sendable, "a refusal's metadata is printable ASCII")
    received = received_as(failure)
    expect(type(received) is type(error), "the client raises what the server raised")
    if isinstance(error, InvalidInput) and isinstance(received, InvalidInput):
        expect(received.field == error.field, "the client learns which field it was")


def _sent_bytes(key: str, value: str | bytes) -> int:
    return math.ceil(len(value) * 4 / 3) if key.endswith("-bin") else len(value)


def received_as(failure: Failure, first_turn: int = 0) -> BudgetMemError:
    """What the client raises for it."""
    try:
        with translated("server", first_turn):
            raise failure
    except BudgetMemError as exc:
        return exc


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable()
