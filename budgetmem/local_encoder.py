"""The sentence encoder in this process, by ONNX Runtime: for benchmarks, tests and small tools.

Serving uses the encoder on Triton (`budgetmem.triton`); both read the same asset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from budgetmem.assets import asset_dir
from budgetmem.backbone import TokenCounter, Vectors
from budgetmem.config import EncoderProfile
from budgetmem.errors import ConfigError
from budgetmem.onnx_session import open_session
from budgetmem.tokens import FileTokens, load_tokenizer

OUTPUT = "sentence_embedding"
TYPE_IDS = "token_type_ids"


class RememberedTokens:
    """A TokenCounter that remembers what it counted lately."""

    def __init__(self, counter: TokenCounter, size: int = 65536) -> None:
        self._count = lru_cache(maxsize=size)(counter.count)

    def count(self, text: str) -> int:
        return self._count(text)


def local_encoder(profile: EncoderProfile) -> LocalEncoder:
    """The encoder of a profile, as the server has it on Triton.

    Raises AssetError if it is not downloaded, ConfigError where ONNX Runtime is not installed.
    """
    try:
        return LocalEncoder(asset_dir(profile.asset), max_tokens=profile.max_tokens)
    except ImportError as exc:
        raise ConfigError(
            f"the encoder needs ONNX Runtime ({exc}): pip install 'budgetmem[embedded]'"
        ) from exc


class LocalEncoder:
    """A `budgetmem.backbone.Encoder` by `model.onnx` and `tokenizer.json` of a folder.

    The model takes int64 `input_ids` and `attention_mask` (and `token_type_ids` if it wants
    them) of shape [batch, length] and gives `sentence_embedding`, float32 [batch, dimension].
    Texts are cut at `max_tokens`; `tokens` counts all of them. Raises AssetError for a missing
    file, ConfigError for a model of another form.
    """

    def __init__(
        self, folder: Path, *, max_tokens: int = 256, threads: int = 2, batch_size: int = 32
    ) -> None:
        tokenizer_file = folder / "tokenizer.json"
        self._session = open_session(folder / "model.onnx", "cpu", intra_op_threads=threads)
        self._tokenizer = load_tokenizer(tokenizer_file)
        self._tokenizer.enable_truncation(max_tokens)
        if OUTPUT not in self._session.outputs:
            raise ConfigError(f"{self._session.path}: no output {OUTPUT!r}")
        self.tokens: TokenCounter = RememberedTokens(FileTokens(tokenizer_file))
        self.name = folder.name
        self._batch_size = batch_size
        self.dimension = self._run([[0]]).shape[1]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], rows L2-normalised."""
        return await asyncio.to_thread(self.embed_now, texts)

    def remembered(self, texts: Sequence[str]) -> int:
        """It has no memory."""
        return 0

    def embed_now(self, texts: Sequence[str]) -> Vectors:
        """The same, in the calling thread."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        # Rows of one length need no padding, which is work thrown away.
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for start in range(0, len(order), self._batch_size):
            rows = order[start : start + self._batch_size]
            vectors[rows] = self._run([ids[i] for i in rows])
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        normalised: Vectors = vectors / np.maximum(norms, 1e-12)
        return normalised

    def _run(self, rows: Sequence[Sequence[int]]) -> Vectors:
        length = max(len(row) for row in rows)
        input_ids = np.zeros((len(rows), length), dtype=np.int64)
        mask = np.zeros_like(input_ids)
        for i, row in enumerate(rows):
            input_ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        feeds = {"input_ids": input_ids, "attention_mask": mask}
        if TYPE_IDS in self._session.inputs:
            feeds[TYPE_IDS] = np.zeros_like(input_ids)
        output: Vectors = self._session.run([OUTPUT], feeds)[OUTPUT]
        return output
