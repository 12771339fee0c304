"""What a client is sent: by a server that is newer, broken, or means harm.

A response gives a value or a ServerError, a failure one of budgetmem.errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from benchmarks.chaos.fuzz.calls import METHODS, Failure, Metadata, received_as
from benchmarks.chaos.fuzz.messages import built
from benchmarks.chaos.fuzz.service import MODULES, TIMES
from benchmarks.chaos.fuzz.source import Source
from budgetmem.errors import ServerError
from budgetmem.proto.budgetmem.v1 import admin_pb2
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.wire.admin import decode_metrics, decode_reloaded
from budgetmem.wire.events import decode_event
from budgetmem.wire.faults import DETAILS_KEY, DOMAIN, REASONS
from budgetmem.wire.histories import (
    decode_exported,
    decode_history,
    decode_ingest_report,
    decode_proof,
)
from budgetmem.wire.info import decode_info
from budgetmem.wire.results import decode_answer, decode_memory

DECODERS: Mapping[type[Message], Callable[[Any], object]] = {
    pb.IngestResponse: decode_ingest_report,
    pb.ExtractResponse: lambda message: decode_memory(message.memory),
    pb.ExtractEvent: decode_event,
    pb.AnswerResponse: decode_answer,
    pb.ListHistoriesResponse: lambda message: [decode_history(each) for each in message.histories],
    pb.ExportHistoryResponse: decode_exported,
    pb.DeleteHistoryResponse: decode_proof,
    pb.DeleteTurnsResponse: decode_proof,
    pb.DeleteTenantResponse: decode_proof,
    pb.GetInfoResponse: decode_info,
    admin_pb2.ReloadRoutersResponse: decode_reloaded,
    admin_pb2.GetMetricsResponse: decode_metrics,
}
"""What `budgetmem.client` reads each response with."""

RESPONSES = tuple(method.response for method in METHODS)

WORDS = ("h", "apply rules", "stop", *MODULES, *TIMES)
FIELDS = ("history", "turns[3].text", "turns[", "]", "9" * 5000, "٣", "budget.tiers", ": ")
KEYS = (DETAILS_KEY, "budgetmem-field", "retry-after")
FIRST_TURNS = (0, 256)
"""Of the batch that failed, in the caller's list."""


def bytes_as_response(data: bytes) -> None:
    """The first byte says of which call."""
    source = Source(data)
    kind = source.pick(RESPONSES)
    with suppress(DecodeError):
        _read(kind.FromString(source.rest()))


def response(data: bytes) -> None:
    """Responses with any values of their fields."""
    source = Source(data)
    _read(built(source.pick(RESPONSES), source, WORDS))


def _read(message: Message) -> None:
    with suppress(ServerError):
        DECODERS[type(message)](message)


def bytes_as_failure(data: bytes) -> None:
    """Any bytes as the details of a failed call."""
    received_as(Failure(grpc.StatusCode.INTERNAL, "", ((DETAILS_KEY, data),)))


def failure(data: bytes) -> None:
    """Calls that fail with any status, any message and any details."""
    source = Source(data)
    status = source.pick(tuple(grpc.StatusCode))
    metadata: Metadata = tuple((source.pick(KEYS), details(source)) for _ in source.times(3))
    received_as(Failure(status, source.text(WORDS), metadata), source.pick(FIRST_TURNS))


def details(source: Source) -> bytes:
    """A serialised Status, with details that may not be what they say."""
    status = Status(code=source.below(20), message=source.text(FIELDS))
    status.details.extend(_detail(source) for _ in source.times(4))
    return bytes(status.SerializeToString())


def _detail(source: Source) -> Packed:
    kind = source.pick((ErrorInfo, BadRequest, RetryInfo))
    detail = built(kind, source, FIELDS)
    if isinstance(detail, ErrorInfo):
        detail.domain, detail.reason = DOMAIN, source.pick(tuple(REASONS))
    packed = Packed()
    packed.Pack(detail)
    if source.below(4) == 1:
        packed.value = source.take(source.below(32))
    return packed
