"""Connections of gRPC whose other side is gone, or never spoke: they end by themselves."""

from __future__ import annotations

import pytest

from server.doors import Doors, Patience
from tests.server.half_open import (
    ACKNOWLEDGED,
    PREFACE,
    SETTINGS,
    pings_until_closed,
    seconds_until_closed,
)

SHORT = Patience(silence_s=0.4, answer_s=0.4, greeting_s=0.6)
SOON_S = 30.0
"""Far from any of gRPC's own times, on a machine that may be busy."""


@pytest.fixture
async def port():
    doors = Doors(patience=SHORT)
    yield await doors.open("127.0.0.1", 0)
    await doors.close(0)


@pytest.mark.parametrize(
    "said", [b"", PREFACE[:10], PREFACE, PREFACE + SETTINGS[:4], b"GET / HTTP/1.1\r\n"]
)
async def test_who_does_not_greet_in_time_is_left(port, said):
    assert await seconds_until_closed(port, said) < SOON_S


async def test_who_greets_and_falls_silent_is_asked_and_left(port):
    said = PREFACE + SETTINGS + ACKNOWLEDGED
    assert await seconds_until_closed(port, said) < SOON_S


async def test_who_answers_stays(port):
    """Also one that has nothing to say for a long time."""
    assert await pings_until_closed(port, answers=4) >= 5
