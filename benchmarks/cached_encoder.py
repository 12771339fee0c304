"""An encoder that keeps every embedding on disk, by the hash of model and text."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from budgetmem.backbone import TokenCounter, Vectors
from budgetmem.local_encoder import LocalEncoder


class CachedEncoder:
    """A LocalEncoder whose results are kept in `file`; `version` tells models apart."""

    def __init__(self, encoder: LocalEncoder, version: str, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._encoder = encoder
        self._version = version
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID"
        )

    @property
    def name(self) -> str:
        return self._encoder.name

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    @property
    def tokens(self) -> TokenCounter:
        return self._encoder.tokens

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], rows L2-normalised."""
        keys = [self._key(text) for text in texts]
        found = {key: vector for key in keys if (vector := self._get(key)) is not None}
        missing = {k: t for k, t in zip(keys, texts, strict=True) if k not in found}
        if missing:
            computed = await self._encoder.embed(list(missing.values()))
            with self._db:
                self._db.execute("BEGIN")
                for key, vector in zip(missing, computed, strict=True):
                    found[key] = vector
                    self._db.execute(
                        "INSERT OR IGNORE INTO vectors VALUES (?, ?)", (key, vector.tobytes())
                    )
        return np.stack([found[key] for key in keys])

    def remembered(self, texts: Sequence[str]) -> int:
        """How many of the texts the file has."""
        keys = (self._key(text) for text in texts)
        return sum(self._get(key) is not None for key in keys)

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self._version}\0{text}".encode()).digest()

    def _get(self, key: bytes) -> Vectors | None:
        row = self._db.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return None if row is None else np.frombuffer(row[0], dtype=np.float32)
