"""kill -9 of the server in the middle of an ingest: what was acknowledged is there, and no half."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

pytest.importorskip("budgetmem._core", reason="the C++ core is not built")

from budgetmem.client import Client
from budgetmem.errors import BudgetMemError
from budgetmem.store.sqlite import SqliteStore
from budgetmem.types import Turn
from server.stores import FOLDER

pytestmark = pytest.mark.timeout(900)

ROUNDS = 4
BATCH = 40
"""Turns of one message, which come to many writes of SQLite's."""

LONGEST_LIFE_S = 1.5


@contextmanager
def serving(data):
    """The process of a server, and its address."""
    command = [sys.executable, "-m", "tests.chaos.scripted_server", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def life(data, number, seconds):
    """Ingests until the server is killed; the ids of turns that were acknowledged, and of those
    that were not."""
    done, doubt = set(), set()
    with serving(data) as (process, address), Client(address, timeout_s=30) as client:
        for call in range(100_000):
            turns = [Turn(f"{number}.{call}.{n}", "Ana", f"word{n} again") for n in range(BATCH)]
            doubt = {turn.id for turn in turns}
            try:
                client.ingest("trip", turns)
            except BudgetMemError:
                return done, doubt
            done |= doubt
            if call == 0:
                # Its time begins with its first word.
                threading.Timer(seconds, process.kill).start()
    raise AssertionError("nobody killed the server")


def test_nothing_that_was_acknowledged_is_lost_and_nothing_is_there_by_half(tmp_path):
    draw, kept, calls = random.Random(7), set(), 0
    for number in range(ROUNDS):
        done, doubt = life(tmp_path, number, draw.uniform(0.0, LONGEST_LIFE_S))
        calls += len(done) // BATCH
        store = SqliteStore(tmp_path / FOLDER)
        there = {turn.id for turn in store.turns("default", "trip")}
        assert there in (kept | done, kept | done | doubt)
        assert store.info("default", "trip").turns == len(there)
        kept = there
    assert calls > ROUNDS
