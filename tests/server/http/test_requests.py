"""Bodies and headers, whatever they hold."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from budgetmem.errors import InvalidInput
from budgetmem.timeouts import LONGEST_S
from server.http.framing import LINES, SSE, framing_of, to_json
from server.http.requests import message_of, timeout_of
from server.http.routes import ROUTES

BY_RPC = {route.rpc: route for route in ROUTES}

texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.sampled_from(
    ["query", "budget", "tiers", "tier", "maxCostUsd", "retrieval", "x", "history"]
)
junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=10,
)


async def parsed(rpc, body, **params):
    return await message_of(BY_RPC[rpc], params, body, 10)


@given(st.binary(max_size=50) | junk.map(lambda value: json.dumps(value).encode()))
async def test_no_body_is_more_than_bad_input(body):
    with suppress(InvalidInput):
        assert (await parsed("Extract", body, history="h")).history == "h"


@given(name=texts, query=texts, weight=st.floats(0, 1), tier=st.sampled_from([1, 2, 3]))
async def test_a_message_survives_its_own_json(name, query, weight, tier):
    for rpc in ("Extract", "Answer"):
        whole, part = BY_RPC[rpc].new_request()
        part.history, part.query = name, query
        part.budget.cost_weight, part.budget.tiers["filter"] = weight, tier
        assert await parsed(rpc, MessageToJson(part).encode(), history=name) == whole


@given(texts)
def test_a_frame_is_one_event_and_one_line(text):
    whole, _ = BY_RPC["Extract"].new_request()
    whole.query = text
    line = to_json(whole)
    assert SSE.frame("a", line).decode().splitlines(keepends=True)[0] == "event: a\n"
    assert SSE.frame("a", line).count(b"\n") == 3
    assert LINES.frame("a", line).count(b"\n") == 1
    assert b"\r" not in LINES.frame("a", line)


@pytest.mark.parametrize(
    ("given_timeout", "seconds"),
    [("30S", 30), ("1500m", 1.5), ("2M", 120), ("1H", 3600), ("5u", 5e-6), ("7n", 7e-9), ("0S", 0)],
)
def test_timeouts_have_units(given_timeout, seconds):
    assert timeout_of(Headers({"grpc-timeout": given_timeout})) == pytest.approx(seconds)


def test_no_timeout_is_longer_than_grpc_can_tell():
    assert timeout_of(Headers({"grpc-timeout": "99999999H"})) == LONGEST_S


def test_without_a_timeout_nobody_is_hurried():
    assert timeout_of(Headers({})) is None


@pytest.mark.parametrize(
    ("accept", "framing"),
    [
        ("", SSE),
        ("*/*", SSE),
        ("application/json", SSE),
        ("text/event-stream", SSE),
        ("application/x-ndjson", LINES),
        ("Application/X-NDJSON; charset=utf-8", LINES),
        ("text/event-stream, application/x-ndjson", SSE),
        ("application/json, application/x-ndjson, */*", LINES),
    ],
)
def test_the_first_framing_that_is_named_is_taken(accept, framing):
    assert framing_of(accept) is framing
