"""Sockets as they are left by those who fell silent, and by those who never meant to speak."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""How every HTTP/2 connection begins."""

SETTINGS, ACKNOWLEDGED = b"\0\0\0\4\0\0\0\0\0", b"\0\0\0\4\1\0\0\0\0"
GREETING = PREFACE + SETTINGS + ACKNOWLEDGED
"""All that it takes to be a client of gRPC."""

PING, ACK = 6, 1
HEAD_BYTES = 9


async def seconds_until_closed(port: int, said: bytes, limit_s: float = 60.0) -> float:
    """How long a connection stays open that says this and no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begin = time.monotonic()
    try:
        writer.write(said)
        while await some(reader, limit_s):
            pass
    finally:
        writer.close()
    return time.monotonic() - begin


async def pings_until_closed(port: int, answers: int, limit_s: float = 60.0) -> int:
    """How many pings come to a client that answers so many of them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    pings = 0
    try:
        writer.write(GREETING)
        while True:
            head = await asyncio.wait_for(reader.readexactly(HEAD_BYTES), limit_s)
            body = await reader.readexactly(int.from_bytes(head[:3], "big"))
            if head[3] == PING and not head[4] & ACK:
                pings += 1
                if pings <= answers:
                    writer.write(bytes([0, 0, len(body), PING, ACK, 0, 0, 0, 0]) + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        return pings
    finally:
        writer.close()


@asynccontextmanager
async def crowd(
    port: int, count: int, said: bytes = b""
) -> AsyncIterator[list[asyncio.StreamReader]]:
    """So many connections that say this, one after the other, until the block ends."""
    async with AsyncExitStack() as stack:
        readers = []
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(said)
            readers.append(reader)
        yield readers


async def some(reader: asyncio.StreamReader, limit_s: float = 60.0) -> bytes:
    """What comes next; nothing if the connection was closed."""
    try:
        return await asyncio.wait_for(reader.read(4096), limit_s)
    except ConnectionError:
        return b""
