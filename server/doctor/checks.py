"""What a server of a profile needs of this machine, a function a need.

Each says what it found, and what to do if that will not do. They look and do not change anything,
and start no model.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping, Sequence

from budgetmem.errors import ConfigError
from budgetmem.hosts import bracketed
from server.doctor.elsewhere import endpoints, reached
from server.doctor.findings import Check, Finding, Level, Wanted, shown_size
from server.doctor.machine import SHARED_MEMORY, Machine, this_machine
from server.doctor.models import assets, memory, routers, tokenizers
from server.doctor.stores import store
from server.triton_install import check_backends, find_install, libpython_folder

PYTHONS = ((3, 10), (3, 13))
"""Oldest and newest Python that it is made for."""

TESTED = (3, 11)
"""The one that every test runs on."""

SHARED_MEMORY_BYTES = 32 * 2**20
"""What Triton's Python backend takes for five models is about 6 MB, and grows with messages."""

SLOW_TOKENS_PER_SECOND, FAST_TOKENS_PER_SECOND = 42, 350
"""Tokens that a 1.5B model of `small` reads in a second on two cores, without AVX-512 and with it
(docs/benchmarks.md)."""


PORT_ADVICE: Mapping[int | None, str] = {
    errno.EADDRINUSE: "a server may be running; else take another by --port",
    errno.EACCES: "take a port from 1024 on by --port",
}
HOST_ADVICE = "name an address of this machine by --host: 127.0.0.1, or 0.0.0.0 for all of them"


def examine(wanted: Wanted, machine: Machine | None = None) -> list[Finding]:
    """The findings of all checks, in the order of `CHECKS`."""
    looked = machine or this_machine()
    return [finding for check in CHECKS for finding in check(wanted, looked)]


def _interpreter(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    found, tested = f"Python {_dotted(machine.python)}", f"tested is {_dotted(TESTED)}"
    oldest, newest = PYTHONS
    if machine.python < oldest:
        yield Finding("python", Level.FAIL, found, f"use Python {_dotted(oldest)} or newer")
    elif machine.python > newest:
        advice = f"made for up to {_dotted(newest)}, {tested}: an older one is safer"
        yield Finding("python", Level.WARN, found, advice)
    else:
        untested = "" if machine.python == TESTED else f"; {tested}"
        yield Finding("python", Level.OK, f"{found}{untested}")


def _triton(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    if wanted.triton_url is not None:
        advice = "start it, or name another by --triton-url HOST:PORT, its gRPC port"
        yield reached("triton", wanted.triton_url, advice)
        return
    kind = f"{machine.system} {machine.processor}"
    if (machine.system, machine.processor) != ("Linux", "x86_64"):
        advice = "the embedded Triton is for Linux on x86-64: name one elsewhere by --triton-url"
        yield Finding("triton", Level.FAIL, kind, advice)
        return
    try:
        check_backends(wanted.profile)
        install = find_install()
        libpython_folder()
    except ConfigError as exc:
        yield Finding("triton", Level.FAIL, str(exc))
    else:
        yield Finding("triton", Level.OK, f"embedded, {install.binary}")


def _shared_memory(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    free = machine.shared_memory_bytes
    if wanted.triton_url is not None or free is None:
        return
    enough = free >= SHARED_MEMORY_BYTES
    advice = "Triton's Python models talk through it; for a container: --shm-size=256m"
    found = f"{shown_size(free)} free in {SHARED_MEMORY}"
    yield Finding(
        "shared memory", Level.OK if enough else Level.FAIL, found, "" if enough else advice
    )


def _cpu(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    if wanted.triton_url is not None:
        return
    found = f"{machine.cores} cores, AVX-512: {'yes' if 'avx512f' in machine.cpu_flags else 'no'}"
    if "avx512f" in machine.cpu_flags or not machine.cpu_flags:
        yield Finding("cpu", Level.OK, found)
        return
    advice = (
        f"without AVX-512 a 1.5B model reads about {SLOW_TOKENS_PER_SECOND} tokens/s on two cores, "
        f"with it {FAST_TOKENS_PER_SECOND}: expect tens of seconds a question"
    )
    yield Finding("cpu", Level.WARN, found, advice)


def _port(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    host = wanted.host.strip("[]")
    address = f"{bracketed(host)}:{wanted.port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, wanted.port))
        except OSError as exc:
            level = Level.WARN if exc.errno == errno.EADDRINUSE else Level.FAIL
            advice = PORT_ADVICE.get(exc.errno, HOST_ADVICE)
            yield Finding("port", level, f"{address}: {exc.strerror or exc}", advice)
            return
    yield Finding("port", Level.OK, f"{address} is free")


CHECKS: Sequence[Check] = (
    _interpreter,
    _triton,
    assets,
    tokenizers,
    endpoints,
    memory,
    _shared_memory,
    _cpu,
    routers,
    store,
    _port,
)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
