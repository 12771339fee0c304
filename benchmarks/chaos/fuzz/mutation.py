"""The seeded engine: inputs from nothing but a seed, their number, examples and words.

It learns nothing from what its inputs do, so that any one of them can be made again, and a run goes
on behind an input that ended it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SPECIAL = (0, 1, 2, 7, 0x20, 0x22, 0x5B, 0x7B, 0x7F, 0x80, 0xC3, 0xED, 0xF4, 0xFE, 0xFF)
"""Bytes at which formats change their mind."""

FROM_NOTHING = 0.25
MOST_CHANGES = 8
MEAN_SPAN = 8
MOST_REPEATS = 16


@dataclass(frozen=True)
class Inputs:
    """The inputs of one seed, by number, of at most `most` bytes each.

    They are examples after a few changes, which insert `words` too; some, and all where there are
    no examples, are random bytes.
    """

    seed: int
    examples: Sequence[bytes]
    words: Sequence[bytes]
    most: int

    def __getitem__(self, number: int) -> bytes:
        draw = random.Random(f"{self.seed}.{number}")
        if not self.examples or draw.random() < FROM_NOTHING:
            return draw.randbytes(int(math.exp(draw.uniform(0.0, math.log(self.most)))))
        draft = _Draft(bytearray(draw.choice(self.examples)), draw, self)
        for _ in range(draw.randint(1, MOST_CHANGES)):
            draw.choice(_CHANGES)(draft)
        return bytes(draft.data[: self.most])


@dataclass(frozen=True)
class _Draft:
    """An example on its way to be an input."""

    data: bytearray
    draw: random.Random
    of: Inputs

    def flip(self) -> None:
        if self.data:
            self.data[self.draw.randrange(len(self.data))] ^= 1 << self.draw.randrange(8)

    def set_special(self) -> None:
        if self.data:
            self.data[self.draw.randrange(len(self.data))] = self.draw.choice(SPECIAL)

    def insert(self) -> None:
        self._insert(self.draw.randbytes(self.draw.randint(1, 8)))

    def insert_word(self) -> None:
        if self.of.words:
            self._insert(self.draw.choice(self.of.words))

    def delete(self) -> None:
        start, end = self._span()
        del self.data[start:end]

    def repeat(self) -> None:
        start, end = self._span()
        self.data[start:start] = self.data[start:end] * self.draw.randint(1, MOST_REPEATS)

    def splice(self) -> None:
        """Goes on as another example does."""
        other = self.draw.choice(self.of.examples)
        self.data[self._place() :] = other[self.draw.randint(0, len(other)) :]

    def cut(self) -> None:
        del self.data[self._place() :]

    def _place(self) -> int:
        return self.draw.randint(0, len(self.data))

    def _span(self) -> tuple[int, int]:
        start = self._place()
        return start, start + int(self.draw.expovariate(1 / MEAN_SPAN))

    def _insert(self, some: bytes) -> None:
        place = self._place()
        self.data[place:place] = some


_CHANGES: Sequence[Callable[[_Draft], None]] = (
    _Draft.flip,
    _Draft.set_special,
    _Draft.insert,
    _Draft.insert_word,
    _Draft.delete,
    _Draft.repeat,
    _Draft.splice,
    _Draft.cut,
)
