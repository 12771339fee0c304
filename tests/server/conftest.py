from __future__ import annotations

import socket

import pytest

from tests.server.fake_engine import running


@pytest.fixture
def server():
    with running() as started:
        yield started


@pytest.fixture
def ipv6():
    """Skips where this machine cannot be called by IPv6, as in many containers."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as exc:
        pytest.skip(f"no IPv6: {exc}")
