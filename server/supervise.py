"""Keeps one child process group no longer alive than its owner, and cleans up after it.

Run as a script by `server.triton_launch`: `supervise.py GRACE SHM_PREFIX WORK_DIR -- COMMAND...`.
Its stdin is a pipe that the owner holds open. When the pipe closes, because the owner asks to stop
or because it died in whatever way, the child gets SIGTERM, after GRACE seconds SIGKILL, and so
does everything it started. Exits with the child's code (128 + signal if a signal ended it).

A pipe and not only PR_SET_PDEATHSIG, because that signal follows the thread that forked, cannot
be inherited by grandchildren, and leaves nobody to remove shared memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SHARED_MEMORY = Path("/dev/shm")


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code once nothing of it is left."""
    grace, shm_prefix, work_dir, _, *command = arguments
    for ignored in (signal.SIGINT, signal.SIGTERM):
        # Only the pipe ends a supervisor: a signal to the terminal's group is the owner's affair.
        signal.signal(ignored, signal.SIG_IGN)
    # Orphaned grandchildren come here to be reaped: in a container nobody else may do it.
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_follow_parent,  # noqa: PLW1509 - there is one thread here
    )
    try:
        _wait_for_either(child, sys.stdin.fileno())
        _end(child, float(grace))
    finally:
        _remove_leftovers(shm_prefix, Path(work_dir))
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _follow_parent() -> None:
    """In the child, before exec: SIGKILL it should this supervisor be killed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _wait_for_either(child: subprocess.Popen[bytes], owner_pipe: int) -> None:
    """Returns when the child has ended or the owner's pipe has closed."""
    child_ended = os.pidfd_open(child.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(child_ended, selectors.EVENT_READ)
            selector.register(owner_pipe, selectors.EVENT_READ)
            selector.select()
    finally:
        os.close(child_ended)


def _end(child: subprocess.Popen[bytes], grace: float) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            child.kill()
    child.wait()
    with contextlib.suppress(ProcessLookupError):
        # The group outlives its leader while a grandchild is alive.
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _remove_leftovers(shm_prefix: str, work_dir: Path) -> None:
    for region in SHARED_MEMORY.glob(f"{shm_prefix}*"):
        region.unlink(missing_ok=True)
    shutil.rmtree(work_dir, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
