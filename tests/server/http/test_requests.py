"""Bodies and headers, whatever they hold."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from budgetmem.errors import InvalidInput
from budgetmem.timeouts import LONGEST_S
from budgetmem.validation import MAX_METADATA
from budgetmem.wire.parts import TURN_PARTS
from server.http import requests
from server.http.framing import LINES, SSE, framing_of, to_json
from server.http.requests import INLINE_BYTES, PIECE, message_of, timeout_of
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


LABELS = {f"l{n}": "" for n in range(MAX_METADATA)}
TURN = {"id": "1", "speaker": "Ana", "text": "x", "metadata": LABELS}
MANY = {f"l{n}": "" for n in range(TURN_PARTS)}


@pytest.mark.parametrize("padded", [False, True])
async def test_all_items_of_long_lists_are_there_in_their_order(monkeypatch, padded):
    monkeypatch.setattr(requests, "PIECE", 3)
    turns = [{**TURN, "id": f"{n}"} for n in range(10)]
    body = json.dumps({"turns": turns}).encode() + b" " * (INLINE_BYTES if padded else 0)
    request = await parsed("Ingest", body, history="h")
    assert request.history == "h"
    assert [turn.id for turn in request.turns] == [turn["id"] for turn in turns]
    assert all(dict(turn.metadata) == LABELS for turn in request.turns)


@pytest.mark.parametrize(
    ("rpc", "content", "field"),
    [
        ("Ingest", {"turns": [TURN, {**TURN, "metadata": MANY}]}, "turns"),
        ("Ingest", {"turns": [{}] * 11}, "turns"),
        ("Ingest", {"turns": [TURN, {"metadata": [[[]]] * 80}]}, "turns"),
        ("DeleteTurns", {"turnIds": ["1"] * 11}, "turnIds"),
        ("Extract", {"budget": {"tiers": dict.fromkeys(MANY, "TIER_LOW")}}, "budget"),
        ("Answer", {"budget": {"x": [list(LABELS), list(LABELS)]}}, "budget"),
    ],
)
async def test_what_has_too_many_parts_is_refused_before_it_is_converted(
    monkeypatch, rpc, content, field
):
    monkeypatch.setattr(requests, "ParseDict", None)
    with pytest.raises(InvalidInput) as caught:
        await parsed(rpc, json.dumps(content).encode(), history="h")
    assert caught.value.field.partition("[")[0] == field


@pytest.mark.timeout(30)
async def test_a_body_full_of_labels_is_refused_soon():
    labels = b",".join(b'"%x":""' % n for n in range(1_000_000))
    body = b'{"turns":[{"id":"1","speaker":"a","text":"b","metadata":{' + labels + b"}}]}"
    begin = time.monotonic()
    with pytest.raises(InvalidInput, match=r"^turns\[0\]: has more than 71 values"):
        await parsed("Ingest", body, history="h")
    assert time.monotonic() - begin < 10


async def test_the_worker_does_other_work_between_the_pieces_of_a_large_body():
    turns = [{"id": f"{n}", "speaker": "Ana", "text": "x" * 100} for n in range(10 * PIECE)]
    body, threads = json.dumps({"turns": turns}).encode(), []
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    task = asyncio.ensure_future(message_of(BY_RPC["Ingest"], {"history": "h"}, body, 10_000))
    while not task.done():
        await asyncio.to_thread(threads.append, True)
    assert len((await task).turns) == 10 * PIECE
    assert len(threads) > 5


async def test_a_name_that_is_there_twice_is_told():
    with pytest.raises(InvalidInput, match="'query' twice"):
        await parsed("Extract", b'{"query": "a", "query": "b"}', history="h")


async def test_which_item_is_wrong_is_told(monkeypatch):
    monkeypatch.setattr(requests, "PIECE", 3)
    turns = [TURN, TURN, TURN, TURN, {"x": 1}]
    with pytest.raises(InvalidInput, match=r"(?s)turns\[1\].*\(counted from 3 on\)$"):
        await parsed("Ingest", json.dumps({"turns": turns}).encode(), history="h")


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
