"""A listening socket that has so many connections at a time."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any


class _Connection(socket.socket):
    """Tells when it is closed."""

    def __init__(self, descriptor: int, on_closed: Callable[[], None]) -> None:
        super().__init__(fileno=descriptor)
        self._on_closed = on_closed

    def close(self) -> None:
        was_open = self.fileno() >= 0
        super().close()
        if was_open:
            self._on_closed()


class BoundedSocket(socket.socket):
    """Listens, and has `most` connections at a time, with those that say nothing in TLS yet. More
    are closed as they come."""

    def __init__(self, descriptor: int, most: int) -> None:
        super().__init__(fileno=descriptor)
        self._most = most
        self._there = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """As `socket.accept`. Raises ConnectionAbortedError for one that is too many: event loops
        pass over it, as over a caller who has left already."""
        connection, peer = super().accept()
        if self._there >= self._most:
            connection.close()
            raise ConnectionAbortedError
        self._there += 1
        return _Connection(connection.detach(), self._leave), peer

    def _leave(self) -> None:
        self._there -= 1
