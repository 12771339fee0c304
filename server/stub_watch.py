"""Notices that the process of one Python model died, which Triton itself does not tell.

Triton keeps running, calls the model ready and answers its requests with errors for good (2.51).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path


class StubWatch:
    """Calls `on_death` with the model's name when a process that runs `stub` ends.

    Only the processes that are there when the watch begins are watched: while models load, Triton
    starts and ends more of them. Raises OSError where there are no more open files to be had.
    """

    def __init__(self, stub: Path, on_death: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._handles: list[int] = []
        self._soon: list[asyncio.Handle] = []
        try:
            for pid, model in running_stubs(stub).items():
                self._watch(pid, model, on_death)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Ends the watch."""
        for handle in self._handles:
            self._loop.remove_reader(handle)
            os.close(handle)
        self._handles.clear()
        for call in self._soon:
            call.cancel()

    def _watch(self, pid: int, model: str, on_death: Callable[[str], None]) -> None:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            # It was there a moment ago. Told later, when whoever makes the watch has it.
            self._soon.append(self._loop.call_soon(on_death, model))
            return
        self._handles.append(handle)
        self._loop.add_reader(handle, self._died, handle, model, on_death)

    def _died(self, handle: int, model: str, on_death: Callable[[str], None]) -> None:
        self._loop.remove_reader(handle)
        on_death(model)


def running_stubs(stub: Path) -> dict[int, str]:
    """Model names by process id, for every process that was started as `stub`.

    Its first argument is the model's file: `<repository>/<model>/<version>/model.py`. What a model
    forks has the same command line, but a stub for its parent.
    """
    found: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            program, *arguments = os.fsdecode((folder / "cmdline").read_bytes()).split("\0")
            if program == str(stub) and arguments:
                model = Path(arguments[0]).parents[1].name
                found[int(folder.name)] = (_parent(folder), model)
    return {pid: model for pid, (parent, model) in found.items() if parent not in found}


def _parent(process: Path) -> int:
    # The program's name, in parentheses, may hold spaces; the parent is the second field after it.
    return int((process / "stat").read_text().rpartition(")")[2].split()[1])
