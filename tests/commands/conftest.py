from __future__ import annotations

import pytest

from tests.server.fake_engine import running


@pytest.fixture
def server():
    with running() as started:
        yield started
