"""Tensors of the tagger model: `text` BYTES [-1] in, `annotations` BYTES [-1] out, JSON each."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from budgetmem.errors import InvalidInput
from server.annotating import Annotator


def annotations_of(
    annotator: Annotator, tensors: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """One JSON object a text, in the order given. Raises InvalidInput for text that is no UTF-8."""
    if "text" not in tensors:
        raise InvalidInput("text", "is missing")
    texts = [_decode(i, value) for i, value in enumerate(tensors["text"].reshape(-1))]
    replies = [json.dumps(asdict(found)).encode() for found in annotator.annotate(texts)]
    out = np.empty(len(replies), dtype=np.object_)
    out[:] = replies
    return {"annotations": out}


def _decode(index: int, value: bytes) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError as exc:
        raise InvalidInput(
            f"text[{index}]", f"is not UTF-8: {exc.reason} at byte {exc.start}"
        ) from exc
