"""Targets with bugs that were put there."""

from __future__ import annotations

import os
import signal

from benchmarks.chaos.fuzz.rules import Target, expect, plain


def _raises(data: bytes) -> None:
    if data[:1] == b"\x7f":
        {}["no such key"]
    expect(data[:1] != b"\x80", "no input begins with 80")


def _dies(data: bytes) -> None:
    if data[:1] < b"\x10":
        os.kill(os.getpid(), signal.SIGSEGV)


def _remembers(data: bytes) -> None:
    """Only who looks at what was reached gets to the end."""
    if len(data) < 3 or data[0] != ord("B"):
        return
    if data[1] != ord("U"):
        return
    if data[2] != ord("G"):
        return
    raise ValueError("found")


RAISES = Target(plain(_raises))
DIES = Target(plain(_dies))
REMEMBERS = Target(plain(_remembers), most=8)
HARMLESS = Target(plain(lambda data: None))
