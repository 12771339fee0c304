"""A `budgetmem serve` of one's own in a process of its own: what the demonstration and the
benchmarks ask."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from budgetmem.errors import BackboneUnavailable
from budgetmem.interpreter import module_command

STOP_S = 60
"""From SIGTERM until it is killed; a server that drains ends before."""

_READY = re.compile(r"ready on (?P<address>\S+) in (?P<seconds>\S+) s")
_OURS = "BUDGETMEM_"
_OF_ASSETS = frozenset({"BUDGETMEM_ASSETS", "BUDGETMEM_NO_HUB"})


@dataclass(frozen=True)
class Served:
    """A server that is ready: where it listens, its process, and how long it took to be ready."""

    address: str
    pid: int
    ready_seconds: float


@contextlib.contextmanager
def serving(*options: str, errors: int | None = None) -> Iterator[Served]:
    """`budgetmem serve` with these options on a free port of loopback, stopped at the end.

    What it logs goes to `errors` (None: where ours goes). Variables that are about the user's own
    server, such as which store it has, do not reach it: what is done to this one may be meant for
    no store that is to be kept. Raises BackboneUnavailable where it ends before it is ready; it
    says itself why.
    """
    command = module_command("server", "--port", "0", *options)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment(os.environ)
    )
    try:
        yield _ready(process.stdout or (), process)
    finally:
        _stop(process)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in ours.items()
        if name in _OF_ASSETS or not name.startswith(_OURS)
    }


def _ready(lines: Iterable[str], process: subprocess.Popen[str]) -> Served:
    for line in lines:
        if found := _READY.match(line):
            return Served(found["address"], process.pid, float(found["seconds"]))
    raise BackboneUnavailable(f"the server ended with exit code {process.wait(STOP_S)}")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
