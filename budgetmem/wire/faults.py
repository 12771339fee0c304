"""Errors as google.rpc.Status details, and back.

`REASONS` names every error of `budgetmem.errors`; the reason of ErrorInfo picks the class again,
so a caller catches over the network what it would catch beside the pipeline.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from budgetmem import errors
from budgetmem.errors import BudgetMemError, InvalidInput, Overloaded

DOMAIN = "budgetmem"

MESSAGE_BYTES = 1500
DESCRIPTION_BYTES = 1000
"""Of an error's message, as gRPC sends it: three bytes for each that is not printable ASCII. It is
sent up to three times, in headers that HTTP/2 peers limit to 8 KiB: what is longer than that
arrives as another error."""

DETAILS_KEY = "grpc-status-details-bin"
FIELD_KEY = "budgetmem-field"


def reason_of(error: type[BudgetMemError]) -> str:
    """`DuplicateTurn` -> `DUPLICATE_TURN`, the form that google.rpc.ErrorInfo asks for."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error.__name__).upper()


REASONS: Mapping[str, type[BudgetMemError]] = {
    reason_of(error): error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, BudgetMemError)
}


def encode_fault(error: BudgetMemError, code: int) -> Status:
    """The status of an error; `code` is the number of its gRPC status code."""
    details: list[Message] = [ErrorInfo(reason=reason_of(type(error)), domain=DOMAIN)]
    if isinstance(error, InvalidInput):
        description = _short(_unprefixed(error), DESCRIPTION_BYTES)
        violation = BadRequest.FieldViolation(field=error.field, description=description)
        details.append(BadRequest(field_violations=[violation]))
    if isinstance(error, Overloaded):
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after_ms))
        details.append(RetryInfo(retry_delay=delay))
    return Status(
        code=code, message=_short(str(error), MESSAGE_BYTES), details=map(_packed, details)
    )


def decode_fault(payload: bytes) -> BudgetMemError | None:
    """The error in a serialised Status; None if it is not one of BudgetMem's."""
    try:
        status = Status.FromString(payload)
    except DecodeError:
        return None
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    for detail in status.details:
        for known in (info, bad, retry):
            with suppress(DecodeError):  # one that is not what it says tells nothing
                detail.Unpack(known)
    error = REASONS.get(info.reason) if info.domain == DOMAIN else None
    if error is None:
        return None
    return _rebuilt(error, status.message, bad.field_violations, retry)


def _rebuilt(
    error: type[BudgetMemError],
    message: str,
    violations: Iterable[BadRequest.FieldViolation],
    retry: RetryInfo,
) -> BudgetMemError:
    if issubclass(error, InvalidInput):
        for violation in violations:
            return error(violation.field, violation.description)
        return error("request", message)
    if issubclass(error, Overloaded):
        return error(message, retry.retry_delay.ToMilliseconds())
    return error(message)


def _short(text: str, most: int) -> str:
    size = 0
    for place, character in enumerate(text):
        plain = " " <= character <= "~" and character != "%"
        size += 1 if plain else 3 * len(character.encode())
        if size > most:
            return f"{text[:place]}…"
    return text


def _unprefixed(error: InvalidInput) -> str:
    return str(error).removeprefix(f"{error.field}: ")


def _packed(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed
