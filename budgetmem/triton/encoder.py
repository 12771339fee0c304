"""The sentence encoder on Triton: token ids in, sentence embeddings out.

The tensors are those that sentence-transformers' ONNX exports use, so that the bundled Python
model and Triton's own ONNX Runtime backend are called alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Encoding

from budgetmem.backbone import TokenCounter, Vectors
from budgetmem.tokens import FileTokens, load_tokenizer
from budgetmem.triton.channel import Array, Channel, Tensors
from budgetmem.triton.reading import NUMBERS, reading

REQUIRED_INPUTS = frozenset({"input_ids", "attention_mask"})
TYPE_IDS = "token_type_ids"
OUTPUT = "sentence_embedding"
BATCH_SIZE = 32


class TritonEncoder:
    """A `budgetmem.backbone.Encoder` on Triton.

    Texts longer than `max_tokens` are embedded by their beginning; `tokens` counts all of them.
    `name` tells weights apart: histories keep it, and refuse another. `batch_size` 0 takes the
    default. `with_type_ids`: the model also wants `token_type_ids`.
    """

    def __init__(
        self,
        channel: Channel,
        model: str,
        tokenizer_file: Path,
        *,
        dimension: int,
        max_tokens: int,
        name: str = "",
        batch_size: int = 0,
        with_type_ids: bool = False,
    ) -> None:
        self.name = name or model
        self._channel = channel
        self._model = model
        self._tokenizer = load_tokenizer(tokenizer_file)
        self._tokenizer.enable_truncation(max_tokens)
        self._tokens = FileTokens(tokenizer_file)
        self._dimension = dimension
        self._batch_size = batch_size or BATCH_SIZE
        self._with_type_ids = with_type_ids

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def tokens(self) -> TokenCounter:
        return self._tokens

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], rows L2-normalised.

        Raises BackboneError for vectors that are none: a NaN would spoil what it is stored with.
        """
        if not texts:
            return np.zeros((0, self._dimension), dtype=np.float32)
        encodings = await asyncio.to_thread(self._tokenizer.encode_batch, list(texts))
        # Texts of a like length share a batch, so that little of it is padding.
        order = sorted(range(len(texts)), key=lambda i: len(encodings[i].ids))
        rows = np.empty((len(texts), self._dimension), dtype=np.float32)
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            inputs = padded([encodings[i] for i in batch], self._with_type_ids)
            embedded = await self._channel.infer(self._model, inputs, OUTPUT)
            with reading(self._model, self._channel.url):
                rows[batch] = _of_shape(embedded, (len(batch), self._dimension))
        with reading(self._model, self._channel.url):
            norms = _lengths(rows)
        return np.divide(rows, norms, out=rows, where=norms > 0)

    def remembered(self, texts: Sequence[str]) -> int:
        """It has no memory."""
        return 0


def _of_shape(embedded: Array, shape: tuple[int, int]) -> Array:
    if embedded.dtype.kind not in NUMBERS:
        raise TypeError(f"{embedded.dtype} where numbers are due")
    if embedded.shape != shape:
        raise ValueError(f"embeddings of the shape {embedded.shape}, not {shape}")
    return embedded


def _lengths(rows: Vectors) -> Vectors:
    # What is not finite is told by the error below.
    with np.errstate(over="ignore", invalid="ignore"):
        lengths: Vectors = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise ValueError("embeddings that are not finite")
    return lengths


def padded(encodings: Sequence[Encoding], with_type_ids: bool) -> Tensors:
    """INT64 [len(encodings), longest] ids and mask (and type ids), zeros behind the text."""
    shape = (len(encodings), max(len(e.ids) for e in encodings))
    names = (*sorted(REQUIRED_INPUTS), *([TYPE_IDS] if with_type_ids else []))
    tensors = {name: np.zeros(shape, dtype=np.int64) for name in names}
    for row, encoding in enumerate(encodings):
        length = len(encoding.ids)
        tensors["input_ids"][row, :length] = encoding.ids
        tensors["attention_mask"][row, :length] = 1
    return tensors
