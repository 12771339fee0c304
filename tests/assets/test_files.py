from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from budgetmem.assets.files import locked


def _hold(path: Path, ready: Connection) -> None:
    with locked(path, lambda: None):
        ready.send("held")
        signal.pause()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_lock_waits_for_its_holder_and_outlives_no_killed_one(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / "lock"
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    holder = context.Process(target=_hold, args=(lock, there))
    holder.start()
    assert here.recv() == "held"
    waited = []

    def kill_the_holder() -> None:
        waited.append("waited")
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGKILL)

    with locked(lock, kill_the_holder):
        assert waited == ["waited"]
    holder.join()
