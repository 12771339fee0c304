"""Watching the processes of models."""

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import subprocess

import pytest

from server import stub_watch
from server.stub_watch import StubWatch, running_stubs


@pytest.fixture
def stub(tmp_path):
    """A shell at a path of its own, called as a stub is."""
    path = tmp_path / "stub"
    shutil.copy(shutil.which("sh"), path)
    return path


@pytest.fixture
def start(stub, tmp_path):
    started = []

    def run(model, script="echo up; read line"):
        file = tmp_path / model / "1" / "model.py"
        file.parent.mkdir(parents=True)
        file.write_text(script)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen([str(stub), str(file)], **pipes, start_new_session=True)
        started.append(process)
        assert process.stdout.readline() == b"up\n"
        return process

    yield run
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


async def test_only_the_model_that_died_is_named_and_once(stub, start):
    low, _ = start("low"), start("high")
    died = asyncio.Queue()
    watch = StubWatch(stub, died.put_nowait)
    low.kill()
    assert await asyncio.wait_for(died.get(), 5) == "low"
    await asyncio.sleep(0.05)
    assert died.empty()
    watch.close()


async def test_a_closed_watch_is_silent(stub, start):
    died = asyncio.Queue()
    process = start("low")
    watch = StubWatch(stub, died.put_nowait)
    watch.close()
    process.kill()
    process.wait()
    await asyncio.sleep(0.05)
    assert died.empty()


def test_running_stubs_are_known_by_program_and_file(stub, start, tmp_path):
    process = start("low")
    assert running_stubs(stub) == {process.pid: "low"}
    assert running_stubs(tmp_path / "other") == {}


def test_what_a_model_forks_is_no_stub(stub, start, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    process = start("low", f"(echo up; read line < {tmp_path / 'fifo'}) & read line")
    assert running_stubs(stub) == {process.pid: "low"}


async def test_a_stub_that_is_gone_before_it_is_watched_has_died(stub, start, monkeypatch):
    gone, alive = start("low"), start("high")
    gone.kill()
    gone.wait()
    found = {gone.pid: "low", alive.pid: "high"}
    monkeypatch.setattr(stub_watch, "running_stubs", lambda stub: found)
    died = asyncio.Queue()
    watch = StubWatch(stub, died.put_nowait)
    assert died.empty()
    assert await asyncio.wait_for(died.get(), 5) == "low"
    alive.kill()
    assert await asyncio.wait_for(died.get(), 5) == "high"
    watch.close()


async def test_a_watch_that_is_closed_at_once_does_not_tell_of_a_stub_that_is_gone(
    stub, start, monkeypatch
):
    gone = start("low")
    gone.kill()
    gone.wait()
    monkeypatch.setattr(stub_watch, "running_stubs", lambda stub: {gone.pid: "low"})
    died = asyncio.Queue()
    StubWatch(stub, died.put_nowait).close()
    await asyncio.sleep(0)
    assert died.empty()


async def test_a_watch_that_cannot_be_kept_leaves_no_open_files(stub, start, monkeypatch):
    start("low")
    start("high")
    opened = []

    def pidfd_open(pid):
        if opened:
            raise OSError(errno.EMFILE, "Too many open files")
        opened.append(os_pidfd_open(pid))
        return opened[0]

    os_pidfd_open = os.pidfd_open
    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    with pytest.raises(OSError, match="Too many open files"):
        StubWatch(stub, pytest.fail)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
