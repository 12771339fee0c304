"""The sentence encoder in this process, by ONNX Runtime: for benchmarks, tests and small tools.

Serving uses the encoder on Triton (`budgetmem.triton`); both read the same asset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from budgetmem.backbone import Vectors
from budgetmem.errors import AssetError, ConfigError

OUTPUT = "sentence_embedding"


class EncoderTokens:
    """A TokenCounter by a `tokenizer.json`; the count includes the special tokens."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise AssetError(f"{path}: no such file; pull the encoder's asset first")
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.count: Callable[[str], int] = lru_cache(maxsize=65536)(self._count)

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text).ids)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of every text, special tokens included."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]


class LocalEncoder:
    """Encodes with `model.onnx` and `tokenizer.json` of `folder`.

    The model takes int64 `input_ids` and `attention_mask` (and `token_type_ids` if it wants
    them) of shape [batch, length] and gives `sentence_embedding`, float32 [batch, dimension].
    Texts are cut at `max_tokens`. Raises AssetError for a missing file, ConfigError for a model
    of another form.
    """

    def __init__(
        self, folder: Path, max_tokens: int = 256, threads: int = 2, batch_size: int = 32
    ) -> None:
        import onnxruntime  # noqa: PLC0415 - an optional dependency

        model = folder / "model.onnx"
        if not model.is_file():
            raise AssetError(f"{model}: no such file; pull the encoder's asset first")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self.tokens = EncoderTokens(folder / "tokenizer.json")
        self._inputs = {i.name for i in self._session.get_inputs()}
        shapes = {o.name: o.shape for o in self._session.get_outputs()}
        if OUTPUT not in shapes:
            raise ConfigError(f"{model}: no output {OUTPUT!r}, it has {', '.join(shapes)}")
        self.name = folder.name
        self.dimension = int(shapes[OUTPUT][-1])
        self.max_tokens = max_tokens
        self._batch_size = batch_size

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], rows L2-normalised. Raises nothing on its own."""
        return await asyncio.to_thread(self.embed_now, texts)

    def embed_now(self, texts: Sequence[str]) -> Vectors:
        """The same, in the calling thread."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        ids = [self._cut(row) for row in self.tokens.ids(texts)]
        # Rows of one length need no padding, which is work thrown away.
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for start in range(0, len(order), self._batch_size):
            rows = order[start : start + self._batch_size]
            vectors[rows] = self._run([ids[i] for i in rows])
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        normalised: Vectors = vectors / np.maximum(norms, 1e-12)
        return normalised

    def _cut(self, ids: list[int]) -> list[int]:
        if len(ids) <= self.max_tokens:
            return ids
        # The last id is the closing special token, which the model expects.
        return ids[: self.max_tokens - 1] + ids[-1:]

    def _run(self, rows: Sequence[Sequence[int]]) -> Vectors:
        length = max(len(row) for row in rows)
        input_ids = np.zeros((len(rows), length), dtype=np.int64)
        mask = np.zeros((len(rows), length), dtype=np.int64)
        for i, row in enumerate(rows):
            input_ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        feed: dict[str, Any] = {"input_ids": input_ids, "attention_mask": mask}
        if "token_type_ids" in self._inputs:
            feed["token_type_ids"] = np.zeros_like(input_ids)
        output: Vectors = self._session.run([OUTPUT], feed)[0]
        return output
