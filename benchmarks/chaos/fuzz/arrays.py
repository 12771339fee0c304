"""Arrays that are nearly what C++ wants, and values that are nothing of the kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.chaos.fuzz.source import Source

Array = NDArray[Any]

ODD: Sequence[object] = (None, "1", b"", 1.5, True, 2**70, -(2**70), np.int64(3), np.float32(1), [])
"""What is given where an integer is asked for."""


def integer(source: Source) -> Any:  # noqa: ANN401 - what is no integer, too
    """An integer as a rule."""
    return source.integer() if source.below(8) else source.pick(ODD)


def given(source: Source, array: Array) -> Any:  # noqa: ANN401 - what is no array, too
    """The array itself as a rule, else one of the CHANGES of it."""
    return array if source.below(4) else source.pick(CHANGES)(array)


def numbers(source: Source, shape: tuple[int, ...], dtype: Any) -> Array:  # noqa: ANN401 - a dtype
    """An array of that shape with any values; those after the last byte are 0."""
    array = np.zeros(shape, dtype)
    raw = source.take(min(array.nbytes, 8 * source.below(32)))
    array.reshape(-1).view(np.uint8)[: len(raw)] = np.frombuffer(raw, np.uint8)
    return array


def _unaligned(array: Array) -> Array:
    shifted = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    shifted[...] = array
    return shifted


def _read_only(array: Array) -> Array:
    copy = array.copy()
    copy.setflags(write=False)
    return copy


def _swapped(array: Array) -> Array:
    return array.view(array.dtype.newbyteorder())


CHANGES: Sequence[Callable[[Array], Any]] = (
    lambda array: array[::2],
    lambda array: array[::-1],
    lambda array: array[:0],
    lambda array: array[None],
    lambda array: array.reshape(-1, 1),
    lambda array: np.zeros((), array.dtype),
    lambda array: np.broadcast_to(array[:1], (5, *array.shape[1:])) if len(array) else array,
    lambda array: np.asfortranarray(np.stack([array, array])),
    lambda array: np.concatenate([array, array]),
    lambda array: array.view(np.uint8),
    lambda array: np.zeros(array.shape, np.float64),
    lambda array: np.zeros(array.shape, object),
    lambda array: np.zeros(array.shape, "M8[ns]"),
    lambda array: array.view(np.ma.MaskedArray),
    lambda array: array.view(np.recarray),
    lambda array: array.tolist(),
    lambda array: array.tobytes(),
    lambda array: memoryview(array.tobytes()),
    lambda array: None,
    _unaligned,
    _read_only,
    _swapped,
)
"""Other strides, shapes, dtypes and owners; some of them are still right."""
