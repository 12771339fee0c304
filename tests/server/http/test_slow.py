"""Requests that come slowly, or not to their end: their connections are not kept for ever."""

from __future__ import annotations

import asyncio
import time

import grpc
import httpx
import pytest

from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceStub
from server.http import requests
from server.http.endpoint import Bounds
from server.room import CallLimits, Share
from tests.server.half_open import seconds_until_closed
from tests.server.http.house import open_house

pytestmark = pytest.mark.timeout(600)

SHORT_S = 0.5
SOON_S = 30.0
HEAD = b"POST /v1/histories/h:extract HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def house():
    calls = CallLimits(calls=Share(4, 1))
    with open_house(bounds=Bounds(body_s=SHORT_S), calls=calls, head_s=SHORT_S) as opened:
        yield opened


def port_of(house):
    return httpx.URL(house.url).port


@pytest.mark.parametrize("said", [b"", b"P", HEAD])
async def test_a_head_that_does_not_end(house, said):
    assert await seconds_until_closed(port_of(house), said) < SOON_S


async def test_a_body_that_does_not_end_is_a_timeout(house):
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(house))
    writer.write(HEAD + b'content-length: 100\r\n\r\n{"query"')
    answer = await asyncio.wait_for(reader.read(), SOON_S)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert b"took longer than 0.5 s" in body


@pytest.mark.parametrize("head", [b"", HEAD + b"content-length: 9999\r\n\r\n"])
async def test_a_byte_at_a_time_does_not_help(house, head):
    """Neither within the head, which has no end, nor within the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(house))
    begin = time.monotonic()
    writer.write(head)
    reading = asyncio.ensure_future(reader.read())
    while not reading.done():
        assert time.monotonic() - begin < SOON_S
        writer.write(b"x")
        await asyncio.wait({reading}, timeout=0.02)
    writer.close()
    assert isinstance(reading.exception(), ConnectionError | None)


async def test_whoever_comes_again_has_its_time_again(house):
    async with httpx.AsyncClient(base_url=house.url, timeout=60, trust_env=False) as client:
        for _ in range(4):
            assert (await client.get("/v1/info")).status_code == 200
            await asyncio.sleep(SHORT_S / 2)


def test_a_long_answer_is_not_cut_off_by_the_time_for_a_head(house):
    house.grpc.pipeline.takes_s = 3 * SHORT_S
    try:
        response = house.http.post("/v1/histories/h:extract", json={"query": "q"})
    finally:
        house.grpc.pipeline.takes_s = 0.0
    assert response.status_code == 200


async def test_bodies_need_a_place_before_they_are_read(house):
    """So nobody's bodies fill the memory: each tenant has its places, and others have theirs."""
    with open_house(calls=CallLimits(calls=Share(4, 1))) as patient:
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(patient))
        writer.write(HEAD + b'content-length: 100\r\n\r\n{"query"')
        async with httpx.AsyncClient(base_url=patient.url, timeout=60, trust_env=False) as client:
            ask = {"url": "/v1/histories/h:extract", "json": {"query": "q"}}
            while (refused := await client.post(**ask)).status_code == 200:
                await asyncio.sleep(0.01)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            other = await client.post(**ask, headers={"budgetmem-tenant": "ben"})
            assert other.status_code == 200
            writer.close()
            while (await client.post(**ask)).status_code != 200:
                await asyncio.sleep(0.01)


def test_calls_of_both_doors_share_their_places():
    """One of HTTP has one place, though it is a call of gRPC too."""
    calls = CallLimits(calls=Share(4, 1), store=Share(4, 1))
    with (
        open_house(calls=calls) as shared,
        grpc.insecure_channel(shared.grpc.address) as channel,
    ):
        stub, asked = MemoryServiceStub(channel), pb.ExtractRequest(history="h", query="q")
        ask = {"url": "/v1/histories/h:extract", "json": {"query": "q"}}
        assert shared.http.post(**ask).status_code == 200
        shared.grpc.pipeline.takes_s = 60.0
        call = stub.Extract.future(asked)
        while len(shared.grpc.pipeline.requests) < 2:
            time.sleep(0.01)
        refused = shared.http.get("/v1/histories")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        call.cancel()
        shared.grpc.pipeline.takes_s = 0.0
        while shared.http.post(**ask).status_code != 200:
            time.sleep(0.01)


async def test_one_large_body_at_a_time_is_there_as_objects(house, monkeypatch):
    there, most, pieces = [], [], requests._pieces

    def noted(content):
        there.append(content)
        most.append(len(there))
        yield from pieces(content)
        there.pop()

    monkeypatch.setattr(requests, "_pieces", noted)
    turns = [{"id": f"{n}", "speaker": "Ana", "text": "x" * 100} for n in range(1000)]
    async with httpx.AsyncClient(base_url=house.url, timeout=60, trust_env=False) as client:
        sent = [
            client.post(
                "/v1/histories/h:ingest", json={"turns": turns}, headers={"budgetmem-tenant": name}
            )
            for name in ("ana", "ben", "cyn", "dan")
        ]
        assert {reply.status_code for reply in await asyncio.gather(*sent)} == {200}
    assert most == [1, 1, 1, 1]
    house.grpc.histories.kept.clear()


def test_a_list_that_is_too_long_is_refused_by_its_name(house):
    turns = [{"id": "t", "speaker": "Ana", "text": "x"}] * 10_001
    response = house.http.post("/v1/histories/h:ingest", json={"turns": turns})
    assert response.status_code == 400
    assert "10000 are the most" in response.json()["error"]["message"]
    assert house.grpc.histories.kept == {}
