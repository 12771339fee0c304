from __future__ import annotations

import grpc
import pytest

from budgetmem import errors
from budgetmem.wire.faults import REASONS, decode_fault, encode_fault
from server.errors import status_of

EXPECTED = {
    "AssetError": "FAILED_PRECONDITION",
    "BackboneError": "INTERNAL",
    "BackboneUnavailable": "UNAVAILABLE",
    "BudgetMemError": "INTERNAL",
    "BudgetTooSmall": "FAILED_PRECONDITION",
    "ConfigError": "FAILED_PRECONDITION",
    "Conflict": "ABORTED",
    "DeadlineExceeded": "DEADLINE_EXCEEDED",
    "DuplicateTurn": "INVALID_ARGUMENT",
    "HistoryFull": "RESOURCE_EXHAUSTED",
    "InvalidInput": "INVALID_ARGUMENT",
    "NotFound": "NOT_FOUND",
    "Overloaded": "RESOURCE_EXHAUSTED",
    "PermissionDenied": "PERMISSION_DENIED",
    "ReplyError": "INTERNAL",
    "ServerError": "INTERNAL",
    "ServerUnavailable": "UNAVAILABLE",
    "Unauthenticated": "UNAUTHENTICATED",
}


def made(cls):
    return cls("field", "message") if issubclass(cls, errors.InvalidInput) else cls("message")


def test_every_error_has_its_status():
    assert {cls.__name__: status_of(made(cls)).name for cls in REASONS.values()} == EXPECTED


@pytest.mark.parametrize("cls", REASONS.values(), ids=lambda cls: cls.__name__)
def test_every_error_survives_the_wire(cls):
    error = made(cls)
    back = decode_fault(encode_fault(error, 3).SerializeToString())
    assert type(back) is cls
    assert str(back) == str(error)


def test_a_foreign_status_is_none_of_ours():
    assert decode_fault(b"\xff\xff not a status") is None
    assert decode_fault(b"") is None


def test_a_subclass_without_a_row_has_the_status_of_its_base():
    class Narrower(errors.NotFound):
        pass

    assert status_of(Narrower("x")) is grpc.StatusCode.NOT_FOUND
