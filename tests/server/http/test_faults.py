"""Every status has its place in the table."""

from __future__ import annotations

import grpc
import pytest
from starlette.exceptions import HTTPException

from budgetmem.errors import NotFound, Overloaded
from server.http.faults import HTTP_ONLY, HTTP_STATUS, fault_of


def test_the_table_has_every_status():
    assert set(HTTP_STATUS) == set(grpc.StatusCode)


@pytest.mark.parametrize(
    ("milliseconds", "seconds"), [(0, "0"), (1, "1"), (1000, "1"), (1001, "2")]
)
def test_retry_after_is_in_whole_seconds_and_never_too_early(milliseconds, seconds):
    assert fault_of(Overloaded("busy", milliseconds)).headers["retry-after"] == seconds


def test_what_nobody_foresaw_tells_nothing():
    fault = fault_of(RuntimeError("a secret"))
    assert fault.http_status == 500
    assert "secret" not in fault.json


def test_a_status_without_our_details_keeps_its_words():
    nothing = grpc.aio.Metadata()
    error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, "gone")
    fault = fault_of(error)
    assert (fault.http_status, fault.message, fault.details) == (503, "gone", ())


@pytest.mark.parametrize("status", HTTP_ONLY)
def test_what_http_alone_knows_has_the_form_of_the_others(status):
    assert fault_of(HTTPException(status, "no")).response.status_code == status


def test_non_ascii_stays_readable():
    assert "käse" in fault_of(NotFound("no history 'käse'")).json
