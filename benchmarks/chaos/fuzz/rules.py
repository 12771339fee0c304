"""What a target is, and what it raises where nothing else did though a promise was not kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Function = Callable[[bytes], None]
"""A target: raises whatever it likes if there is a bug, and nothing otherwise."""


@dataclass(frozen=True)
class Target:
    """`opened` gives the function, which may use a folder of its own.

    `examples` are inputs that are well-formed more or less, and `words` what inputs are likely to
    hold; targets that make their own inputs of the bytes need neither. Inputs have `most` bytes.
    """

    opened: Callable[[Path], Function]
    examples: Sequence[bytes] = ()
    words: Sequence[str] = ()
    most: int = 2048


def plain(function: Function) -> Callable[[Path], Function]:
    """For a function that needs no folder."""
    return lambda folder: function


class Broken(Exception):
    """A rule that does not hold."""


def expect(holds: bool, rule: str) -> None:
    """Raises Broken if the rule does not hold."""
    if not holds:
        raise Broken(rule)
