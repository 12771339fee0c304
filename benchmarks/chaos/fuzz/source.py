"""Values that bytes choose: what targets make their structured inputs from.

Values are read from the front, so that bytes nearby mean things nearby, which is what a fuzzer that
changes a few of them needs. When the bytes are used up every value is 0, empty, or the first.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

INTEGERS = (0, 1, -1, 2, 3, 7, 2**20, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 2**64)
REALS = (0.0, 1.0, -1.0, 0.5, 1e-320, 1e308, -1e308, float("inf"), float("-inf"), float("nan"))

_LONGEST_RUN = 24
"""Bytes of a text's piece that are taken as they come."""


class Source:
    """Reads values from `data`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def empty(self) -> bool:
        """Whether all bytes are used up."""
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        """The next bytes, fewer at the end."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.take(len(self._data))

    def below(self, bound: int) -> int:
        """From 0 to `bound` - 1, which is below 65536."""
        return int.from_bytes(self.take(1 if bound <= 256 else 2), "little") % bound

    def pick(self, options: Sequence[T]) -> T:
        """One of them."""
        return options[self.below(len(options))]

    def times(self, most: int) -> range:
        """To be gone through from 0 to `most` times."""
        return range(self.below(most + 1))

    def integer(self) -> int:
        """Small, at an end of a machine's range, or any of 64 bits."""
        kind = self.below(4)
        if kind == 0:
            return self.pick(INTEGERS)
        if kind == 1:
            return int.from_bytes(self.take(8), "little", signed=True)
        return self.below(32)

    def real(self) -> float:
        """Special, small, or any float."""
        kind = self.below(4)
        if kind == 0:
            return self.pick(REALS)
        if kind == 1:
            return float(struct.unpack("<d", self.take(8).ljust(8, b"\0"))[0])
        return self.below(256) / 16

    def text(self, words: Sequence[str], most: int = 4) -> str:
        """Up to `most` pieces, each one of the words or bytes that are taken for UTF-8."""
        return "".join(self._piece(words) for _ in self.times(most))

    def _piece(self, words: Sequence[str]) -> str:
        choice = self.below(len(words) + 1)
        if choice < len(words):
            return words[choice]
        return self.take(self.below(_LONGEST_RUN)).decode("utf-8", "replace")
