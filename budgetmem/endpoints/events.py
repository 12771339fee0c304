"""The events of a streamed reply, of a server that may never end an event, or its reply."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import httpx
from httpx_sse import EventSource

from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.reply_bounds import LONGEST_SILENCE_S

DONE = "[DONE]"
"""The event that ends a stream."""

LONGEST_EVENT = 2**20
"""Bytes. A whole reply with its log-probabilities, and thousands of tokens of reasoning, fit in."""

LONGEST_REPLY = 2**28
"""Bytes: 2 KiB for each of the most parts that a reply can have."""

PIECE = 2**16
"""Bytes that are looked at together. What comes compressed may be much at once."""


async def events_of(
    response: httpx.Response, server: str, clock: Callable[[], float] = time.monotonic
) -> AsyncGenerator[str, None]:
    """What each event of the response says, but for those that say nothing, and for DONE. `clock`
    returns seconds; `server` is what errors name.

    Raises SSEError for what is no stream of events, BackboneError for one that never ends,
    BackboneUnavailable for one whose server sends signs of life and nothing else.
    """
    body = _Body(response, server, clock)
    bounded = httpx.Response(
        response.status_code,
        headers={"content-type": response.headers.get("content-type", "")},
        stream=body,
    )
    # As such streams always are: some of the names that it may have for another text encoding are
    # of none that httpx can read.
    bounded.encoding = "utf-8"
    async with contextlib.aclosing(EventSource(bounded).aiter_sse()) as events:
        async for event in events:
            body.comes(said=bool(event.data))
            if event.data and event.data != DONE:
                yield event.data


class _Body(httpx.AsyncByteStream):
    """The bytes of a response, for as long as they are bytes of a reply."""

    def __init__(self, response: httpx.Response, server: str, clock: Callable[[], float]) -> None:
        self._response = response
        self._server = server
        self._clock = clock
        self._heard = clock()
        self._of_event = 0
        self._of_reply = 0

    def comes(self, *, said: bool) -> None:
        """An event is whole."""
        self._of_event = 0
        if said:
            self._heard = self._clock()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._response.aiter_bytes():
            for start in range(0, len(part), PIECE):
                piece = part[start : start + PIECE]
                self._check(len(piece))
                yield piece

    def _check(self, length: int) -> None:
        self._of_event += length
        self._of_reply += length
        if self._of_event > LONGEST_EVENT + PIECE:
            raise BackboneError(f"{self._server} sent an event of more than {LONGEST_EVENT} bytes")
        if self._of_reply > LONGEST_REPLY:
            raise BackboneError(f"{self._server} sent a reply of more than {LONGEST_REPLY} bytes")
        if self._clock() - self._heard > LONGEST_SILENCE_S:
            raise BackboneUnavailable(
                f"{self._server} said nothing for {LONGEST_SILENCE_S:g} s but that it lives"
            )
