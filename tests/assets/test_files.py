from __future__ import annotations

import io
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from budgetmem.assets.files import BLOCK, copy, locked


def _hold(path: Path, ready: Connection) -> None:
    with locked(path, lambda: None):
        ready.send("held")
        signal.pause()


def test_a_lock_is_waited_for_and_ends_with_its_holder(tmp_path: Path) -> None:
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


def test_copy_reports_every_byte() -> None:
    content, target, reported = b"x" * (BLOCK + 1), io.BytesIO(), []
    copy(io.BytesIO(content), target, reported.append)
    assert target.getvalue() == content
    assert reported == [BLOCK, 1]
