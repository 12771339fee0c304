"""Reading what models on Triton send: what cannot be read is an error of the model that sent it.

What a model sends is as little to be relied on as what a caller sends: its process may be half
dead, its weights broken, or a proxy between have cut the message short.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from budgetmem.errors import UNREADABLE, BackboneError

MALFORMED = (*UNREADABLE, struct.error)
"""What reading raises where something lacks, or is not what it should be."""

NUMBERS = "fiu"
"""Kinds of numpy's types: floats and integers."""


@contextmanager
def reading(model: str, url: str) -> Iterator[None]:
    """Around the reading of a response, not around its coming.

    Raises BackboneError that names the model and what is wrong, for what does not fit in the block.
    """
    try:
        yield
    except MALFORMED as exc:
        raise BackboneError(
            f"{model} at {url} sent what cannot be read ({type(exc).__name__}: {exc}): look into "
            "Triton's log, and check that the model is the one that the profile takes it for"
        ) from exc


def number_in(tensor: NDArray[Any]) -> float:
    """The only element: vLLM's backend sends some outputs as [1], others as scalars."""
    if tensor.dtype.kind not in NUMBERS:
        raise TypeError(f"{tensor.dtype} where numbers are due")
    return float(tensor.reshape(-1)[0])


def count_in(tensor: NDArray[Any]) -> int:
    """As `number_in`, of what is counted."""
    number = number_in(tensor)
    if number < 0:
        raise ValueError("a count below 0")
    return int(number)


def text_in(tensor: NDArray[Any]) -> str:
    """The first text of a BYTES tensor."""
    value = tensor.reshape(-1)[0]
    return checked_text(value.decode() if isinstance(value, bytes) else value)


def checked_text(value: object) -> str:
    """The value, which is a text that can be sent on. Says nothing of what it is otherwise."""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text is due")
    value.encode()  # JSON may hold halves of characters
    return value
