from __future__ import annotations

from urllib.parse import quote

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
    "StoreDamaged": "DATA_LOSS",
    "StoreUnavailable": "UNAVAILABLE",
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


@pytest.mark.parametrize("character", ["x", "ü", "漢", "😀"])
def test_a_long_message_is_cut_so_that_it_arrives(character):
    """Peers refuse headers of more than 8 KiB, and the caller would get another error."""
    error = errors.InvalidInput("strategy", f"{character * 100_000!r} is not one")
    status = encode_fault(error, 3)
    assert len(status.SerializeToString()) < 3000
    assert len(quote(status.message)) < 2000
    back = decode_fault(status.SerializeToString())
    assert (type(back), back.field) == (errors.InvalidInput, "strategy")
    assert str(back).startswith(f"strategy: '{character * 80}")
    assert str(back).endswith("…")


def test_details_that_are_not_what_they_say_tell_nothing():
    status = encode_fault(errors.InvalidInput("turns", "must not be empty"), 3)
    status.details[1].value = b"\xff"
    back = decode_fault(status.SerializeToString())
    assert (type(back), str(back)) == (
        errors.InvalidInput,
        "request: turns: must not be empty",
    )
    status.details[0].value = b"\xff"
    assert decode_fault(status.SerializeToString()) is None


def test_a_foreign_status_is_none_of_ours():
    assert decode_fault(b"\xff\xff not a status") is None
    assert decode_fault(b"") is None


def test_a_subclass_without_a_row_has_the_status_of_its_base():
    class Narrower(errors.NotFound):
        pass

    assert status_of(Narrower("x")) is grpc.StatusCode.NOT_FOUND
