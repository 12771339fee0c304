from __future__ import annotations

import pytest

from budgetmem.client import Client
from tests.server.fake_engine import running


@pytest.fixture
def server():
    with running() as started:
        yield started


@pytest.fixture
def client(server):
    with Client(server.address, timeout_s=30) as client:
        yield client
