"""What both clients share: options, channels, batches."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from typing_extensions import TypedDict

from budgetmem.client.identity import Identity, Metadata
from budgetmem.errors import InvalidInput
from budgetmem.history import IngestReport
from budgetmem.hosts import stays_here
from budgetmem.info import BATCH_TURNS
from budgetmem.proto.budgetmem.v1 import admin_pb2
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.tiers import Tier
from budgetmem.timeouts import LONGEST_S
from budgetmem.tracing import trace_headers
from budgetmem.types import Budget, Turn
from budgetmem.validation import check_ids
from budgetmem.wire.requests import DEFAULT_STRATEGY, encode_query
from budgetmem.wire.values import encode_turn

DEFAULT_SERVER = "127.0.0.1:50051"
SERVICE = "budgetmem.v1.MemoryService"

# Well below the server's limit of a message, and small enough to show progress.
BATCH_BYTES = 2 * 1024 * 1024

# Only calls that can be repeated without paying twice.
REPEATABLE = ("Ingest", "ListHistories", "GetInfo")
RETRIES = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE", "ABORTED"],
}


class QueryOptions(TypedDict, total=False):
    """Options of a query; all may be left out.

    strategy: "implementation" (default), "reasoning", "capacity" or "extractive".
    budget: cost weight and ceilings, and tiers by module name.
    tier: one tier for every module that `budget.tiers` does not name; else the router chooses.
    max_tokens: length of the retrieved chunks in tokens of the encoder; else the server's.
    asked_at: when the question is asked; "last week" counts from it.
    timeout_s: seconds until DeadlineExceeded; else the client's.
    """

    strategy: str
    budget: Budget
    tier: Tier | None
    max_tokens: int | None
    asked_at: datetime | None
    timeout_s: float | None


class CallOptions(TypedDict):
    """What every gRPC call takes."""

    timeout: float | None
    metadata: Metadata


@contextmanager
def sendable(field: str) -> Iterator[None]:
    """Raises InvalidInput for what protobuf cannot carry: lone surrogates, too large integers."""
    try:
        yield
    except ValueError as exc:
        raise InvalidInput(field, f"cannot be sent: {exc}") from exc


def query_of(history: str, query: str, options: QueryOptions) -> pb.ExtractRequest:
    """The request of a query. Raises InvalidInput for what cannot be sent."""
    with sendable("request"):
        return encode_query(
            history,
            query,
            strategy=options.get("strategy", DEFAULT_STRATEGY),
            budget=options.get("budget"),
            tier=options.get("tier"),
            max_tokens=options.get("max_tokens"),
            asked_at=options.get("asked_at"),
        )


def delete_turns_of(history: str, turn_ids: Iterable[str]) -> pb.DeleteTurnsRequest:
    """The request of a deletion. Raises InvalidInput for one text instead of ids, and for what
    cannot be sent."""
    check_ids("turn_ids", turn_ids)
    with sendable("turn_ids"):
        return pb.DeleteTurnsRequest(history=history, turn_ids=turn_ids)


def reload_of(strategy: str) -> admin_pb2.ReloadRoutersRequest:
    """The request of a reload. Raises InvalidInput for what cannot be sent."""
    with sendable("strategy"):
        return admin_pb2.ReloadRoutersRequest(strategy=strategy)


def channel_options() -> list[tuple[str, Any]]:
    """gRPC channel arguments: retries of repeatable calls, no limit on what is received, and turns
    for all addresses that a name has: any server can take any call."""
    names = [{"service": SERVICE, "method": method} for method in REPEATABLE]
    config = {
        "methodConfig": [{"name": names, "retryPolicy": RETRIES}],
        "loadBalancingConfig": [{"round_robin": {}}],
    }
    return [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.max_receive_message_length", -1),
        ("grpc.keepalive_time_ms", 60_000),
    ]


def insecure_options(identity: Identity, server: str) -> list[tuple[str, Any]]:
    """As `channel_options`. What is sent in the clear goes past every proxy if it has a key, or
    need not leave this machine: no proxy elsewhere could reach it, and would read it."""
    private = identity.api_key is not None or stays_here(server)
    return [*channel_options(), *([("grpc.enable_http_proxy", 0)] if private else [])]


def call_options(identity: Identity, *timeouts_s: float | None) -> CallOptions:
    """The options of one call: the first timeout that is not None counts.

    Within a trace of the caller's (OpenTelemetry) the server continues it. Raises what
    `Identity.metadata` raises.
    """
    timeout = next((min(LONGEST_S, t) for t in timeouts_s if t is not None), None)
    return {"timeout": timeout, "metadata": (*identity.metadata(), *trace_headers().items())}


def batches(history: str, turns: Iterable[Turn]) -> Iterator[tuple[int, pb.IngestRequest]]:
    """Requests of at most BATCH_TURNS turns and about BATCH_BYTES bytes, in order.

    Each comes with the position of its first turn. Without any turn there is one empty request,
    which the server refuses. Raises InvalidInput for a turn that cannot be sent.
    """
    batch, size, start = pb.IngestRequest(history=history), 0, 0
    for position, turn in enumerate(turns):
        with sendable(f"turns[{position}]"):
            message = encode_turn(turn)
        bytes_ = message.ByteSize()
        if batch.turns and (size + bytes_ > BATCH_BYTES or len(batch.turns) == BATCH_TURNS):
            yield start, batch
            batch, size, start = pb.IngestRequest(history=history), 0, position
        batch.turns.append(message)
        size += bytes_
    yield start, batch


def summed(reports: Sequence[IngestReport]) -> IngestReport:
    """The report of all batches together."""
    return IngestReport(
        added=sum(report.added for report in reports),
        unchanged=sum(report.unchanged for report in reports),
        chunks=sum(report.chunks for report in reports),
        tokens=sum(report.tokens for report in reports),
    )
