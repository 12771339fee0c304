"""Types of command line arguments, for argparse."""

from __future__ import annotations

from argparse import ArgumentTypeError


def positive(text: str) -> int:
    """A whole number above 0. Raises ArgumentTypeError, which argparse tells with the option."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return number
