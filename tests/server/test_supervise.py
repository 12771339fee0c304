"""The supervisor ends what it started when its pipe closes, and cleans up."""

import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from server.triton_launch import SUPERVISOR


@pytest.fixture
def start(tmp_path):
    """Starts `sh -c script` under a supervisor; returns the process and its traces."""
    started = []

    def run(script, grace=5.0):
        prefix = f"budgetmem_test_{uuid.uuid4().hex}_"
        region = Path("/dev/shm") / f"{prefix}region"
        region.touch()
        work_dir = tmp_path / "work"
        (work_dir / "inside").mkdir(parents=True)
        process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(SUPERVISOR)),
                *(str(grace), prefix, str(work_dir), "--", "sh", "-c", script),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, (region, work_dir)

    yield run
    for process in started:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def test_the_childs_exit_code_is_passed_on_and_its_traces_removed(start):
    process, traces = start("exit 7")
    assert process.wait(10) == 7
    assert not any(trace.exists() for trace in traces)


def test_a_signal_is_an_exit_code_as_shells_write_it(start):
    process, _ = start("kill -9 $$")
    assert process.wait(10) == 128 + signal.SIGKILL


def test_closing_the_pipe_ends_the_child_in_order(start):
    process, traces = start("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done")
    assert process.stdout.readline() == "up\n"
    process.stdin.close()
    assert process.stdout.readline() == "bye\n"
    assert process.wait(10) == 3
    assert not any(trace.exists() for trace in traces)


def test_a_child_that_ignores_the_signal_is_killed_after_the_grace(start):
    process, _ = start("trap '' TERM; echo up; while :; do sleep 0.05; done", grace=0.3)
    assert process.stdout.readline() == "up\n"
    closed = time.monotonic()
    process.stdin.close()
    assert process.wait(10) == 128 + signal.SIGKILL
    assert 0.3 <= time.monotonic() - closed < 5


def test_grandchildren_go_with_the_child(start):
    process, _ = start("sleep 600 & echo $!")
    grandchild = int(process.stdout.readline())
    assert process.wait(10) == 0
    assert not Path(f"/proc/{grandchild}").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_only_the_pipe_ends_a_supervisor(start, number):
    process, _ = start("echo up; sleep 0.3; exit 4")
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    assert process.wait(10) == 4
