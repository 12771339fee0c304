"""What stands between a client and a server, and fails as networks do."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Relay:
    """Passes bytes on between a client and the server, until its connections are cut, or stall."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader, writer) -> None:
        there = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, there[1]]
        for source, sink in ((reader, there[1]), (there[0], writer)):
            self._pumps.add(asyncio.create_task(self._pump(source, sink)))

    async def _pump(self, source, sink) -> None:
        with suppress(ConnectionError):
            while some := await source.read(65536):
                sink.write(some)
                await sink.drain()

    def cut(self) -> None:
        """No farewell of HTTP/2's goes either way: both sockets are simply gone."""
        for writer in self._writers:
            writer.transport.abort()
        self.stall()

    def stall(self) -> None:
        """Nothing arrives any more on the connections that there are, as if a machine vanished."""
        for pump in self._pumps:
            pump.cancel()
