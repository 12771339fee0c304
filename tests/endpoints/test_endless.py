"""Servers that never end a reply, an event or an error: given up, and their connections closed."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx
import pytest

from budgetmem import reply_bounds
from budgetmem.endpoints import backbone as backbones
from budgetmem.endpoints import events
from budgetmem.endpoints.events import LONGEST_EVENT, PIECE, events_of
from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.reply_bounds import LONGEST_SILENCE_S
from tests.endpoints.fakes import REQUEST, backbone, ended, said, stream, told

STREAM = {"content-type": "text/event-stream"}


@dataclass
class Endless(httpx.AsyncByteStream):
    """Sends the same bytes again and again, until it is closed."""

    part: bytes
    before: Callable[[], None] = lambda: None
    sent: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.before()
            self.sent += len(self.part)
            yield self.part
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        self.closed.set()


def event(chunk):
    return f"data: {json.dumps(chunk)}\n\n".encode()


def thought(text):
    return {"choices": [{"delta": {"reasoning_content": text}}]}


def model_on(body, status=200, headers=STREAM):
    return backbone(lambda request: httpx.Response(status, headers=headers, stream=body))


FORMS = {
    "text": (event(said("x" * 1000)), "does not stop"),
    "text in small parts": (event(said("x")), "does not stop"),
    "reasoning": (event(thought("Hm.")), "does not stop"),
    "events that say nothing": (event({"choices": []}), "does not stop"),
    "a line": (b"x" * PIECE, "an event of more than"),
    "an event of many lines": (b"data: x\n" * 8192, "an event of more than"),
    "comments": (b": I live\n\n" * 8192, "an event of more than"),
    "events without data": (b"event: ping\n\n" * 8192, "a reply of more than"),
}


@pytest.mark.parametrize(("part", "error"), FORMS.values(), ids=FORMS)
async def test_a_reply_that_never_ends_is_an_error_of_its_model(part, error, monkeypatch):
    monkeypatch.setattr(reply_bounds, "MOST_PARTS", 2000)
    monkeypatch.setattr(events, "LONGEST_REPLY", 3 * LONGEST_EVENT)
    body = Endless(part)
    with pytest.raises(BackboneError, match=f"tiny-chat at http.* {error}") as caught:
        await asyncio.wait_for(model_on(body).generate(REQUEST), 30)
    assert not isinstance(caught.value, BackboneUnavailable)
    assert body.closed.is_set()
    assert body.sent <= 4 * LONGEST_EVENT


async def test_a_body_that_is_no_stream_and_never_ends_is_not_read():
    body = Endless(b"x" * PIECE)
    with pytest.raises(BackboneError, match="did not stream"):
        await model_on(body, headers={"content-type": "application/json"}).generate(REQUEST)
    assert body.closed.is_set()
    assert body.sent == 0


async def test_an_error_that_never_ends_is_told_without_its_message(monkeypatch):
    monkeypatch.setattr(backbones, "ERROR_S", 0.05)
    body = Endless(b"")
    with pytest.raises(BackboneUnavailable, match=r"503 Service Unavailable$"):
        await asyncio.wait_for(model_on(body, status=503).generate(REQUEST), 30)
    assert body.closed.is_set()


@pytest.mark.parametrize("part", [b": I live\n\n", b"event: ping\n\n"])
async def test_signs_of_life_alone_are_silence(part):
    times = iter(range(0, 10**6, 60))
    body = Endless(part)
    read = events_of(httpx.Response(200, headers=STREAM, stream=body), "it", lambda: next(times))
    with pytest.raises(BackboneUnavailable, match="it said nothing for 1800 s"):
        await asyncio.wait_for(anext(read), 30)
    assert body.sent <= (LONGEST_SILENCE_S / 60 + 1) * len(part)


async def test_who_says_something_between_signs_of_life_is_heard():
    times = iter(range(0, 10**6, 60))
    body = Endless(b": I live\n\ndata: x\n\n")
    read = events_of(httpx.Response(200, headers=STREAM, stream=body), "it", lambda: next(times))
    for _ in range(100):
        assert await anext(read) == "x"
    await read.aclose()


async def test_long_thoughts_before_a_short_reply_are_none_of_it():
    thoughts = [thought("Hm. " * 20)] * 20_000
    model = backbone(lambda request: stream(*thoughts, said("Ana"), ended(), told()))
    assert (await model.generate(REQUEST)).text == "Ana"


async def test_a_reply_may_come_in_one_event():
    whole = {"choices": [{"delta": {"content": "Ana", "reasoning": "x" * 900_000}}]}
    model = backbone(lambda request: stream(whole, ended(), told(completion_tokens=250_000)))
    completion = await model.generate(REQUEST)
    assert (completion.text, completion.output_tokens) == ("Ana", 250_000)


async def test_a_reply_may_come_compressed_and_all_at_once():
    plain = stream(*[thought("Hm.")] * 40_000, said("Ana"), ended(), told()).content
    assert len(plain) > 2 * LONGEST_EVENT
    headers = {**STREAM, "content-encoding": "gzip"}
    packed = gzip.compress(plain)
    model = backbone(lambda request: httpx.Response(200, headers=headers, content=packed))
    assert (await model.generate(REQUEST)).text == "Ana"


@pytest.mark.parametrize("item", ["1", "{}"])
@pytest.mark.parametrize(
    "around", ['{"choices": [%s]}', '{"choices": [{"logprobs": {"content": [%s]}}]}']
)
async def test_a_list_of_nonsense_is_read_to_its_first_item_that_is_wrong(item, around):
    chunk = around % ",".join([item] * 100_000)
    with pytest.raises(BackboneError, match="is no chunk") as caught:
        await backbone(lambda request: stream(chunk)).generate(REQUEST)
    assert len(str(caught.value)) < 200
