"""The one edge where gRPC statuses become HTTP statuses: one table.

The body of every error is google.rpc.Status as Google's APIs send it over HTTP:
{"error": {"code": 404, "status": "NOT_FOUND", "message": "...", "details": [...]}}.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from budgetmem.errors import BudgetMemError
from budgetmem.wire.faults import DETAILS_KEY, encode_fault
from server.errors import status_of

JSON = "application/json"

HTTP_STATUS: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
"""As google.rpc.Code says; 499 is nginx's, for a caller who left."""

HTTP_ONLY: Mapping[int, grpc.StatusCode] = {
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    415: grpc.StatusCode.INVALID_ARGUMENT,
}
"""What goes wrong before there is an RPC: paths, verbs, media types, sizes."""


@dataclass(frozen=True)
class Fault:
    """An error on its way to an HTTP client."""

    http_status: int
    status: grpc.StatusCode
    message: str
    details: Sequence[dict[str, Any]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> str:
        """The body, on one line."""
        error = {
            "code": self.http_status,
            "status": self.status.name,
            "message": self.message,
            "details": list(self.details),
        }
        return json.dumps({"error": error}, ensure_ascii=False)

    @property
    def response(self) -> Response:
        """The whole response."""
        return Response(self.json, self.http_status, dict(self.headers), JSON)


def fault_of(error: Exception) -> Fault:
    """What an HTTP client is told of an error; of one that nobody foresaw, nothing."""
    if isinstance(error, grpc.aio.AioRpcError):
        return _of_rpc(error)
    if isinstance(error, BudgetMemError):
        code = status_of(error)
        return _of_status(code, encode_fault(error, code.value[0]))
    if isinstance(error, HTTPException):
        status = HTTP_ONLY[error.status_code]
        return Fault(error.status_code, status, error.detail, headers=error.headers or {})
    return Fault(500, grpc.StatusCode.UNKNOWN, "the server failed, and has logged why")


async def respond(_request: Request, error: Exception) -> Response:
    """The response to a request that failed, as Starlette asks for it."""
    return fault_of(error).response


def _of_rpc(error: grpc.aio.AioRpcError) -> Fault:
    for key, payload in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            return _of_status(error.code(), Status.FromString(payload))
    return _of_status(error.code(), Status(message=error.details() or ""))


def _of_status(code: grpc.StatusCode, status: Status) -> Fault:
    headers: dict[str, str] = {}
    if code is grpc.StatusCode.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    retry = RetryInfo()
    if any(detail.Unpack(retry) for detail in status.details):
        seconds = retry.retry_delay.ToMilliseconds() / 1000
        headers["retry-after"] = str(math.ceil(seconds))
    details = tuple(map(MessageToDict, status.details))
    return Fault(HTTP_STATUS[code], code, status.message, details, headers)
