"""Token counters: by a model's own tokenizer file where there is one, else an upper bound."""

from __future__ import annotations

import logging
from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from tokenizers import Tokenizer

from budgetmem.backbone import TokenCounter
from budgetmem.errors import AssetError

logger = logging.getLogger(__name__)

START_AND_END = 2
"""Tokens that a tokenizer may put around a text."""


class FileTokens:
    """Counts with a `tokenizer.json`. Threads may share it.

    Special tokens count: those that a chat template spells out, and those that the tokenizer adds.
    """

    def __init__(self, tokenizer_file: Path) -> None:
        self._tokenizer = load_tokenizer(tokenizer_file)

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(text).ids)


class ByteCounter:
    """Counts UTF-8 bytes: what byte-level BPE can never exceed, and about four times too much."""

    def count(self, text: str) -> int:
        return len(text.encode()) + START_AND_END


def hub_tokens(hub_id: str) -> TokenCounter:
    """The counter of a hub model whose tokenizer is in the local hub cache, else a ByteCounter.

    Nothing is downloaded: `hf download HUB_ID tokenizer.json` puts it there.
    """
    cached = cached_tokenizer(hub_id)
    if cached is not None:
        return FileTokens(cached)
    logger.warning(
        "no tokenizer of %s in the local hub cache: its prompts are counted in bytes, an upper "
        "bound of about four times the tokens; run: hf download %s tokenizer.json",
        hub_id,
        hub_id,
    )
    return ByteCounter()


def cached_tokenizer(hub_id: str) -> Path | None:
    """The `tokenizer.json` of a hub model in the local hub cache, if it is there."""
    cached = try_to_load_from_cache(hub_id, "tokenizer.json")
    return Path(cached) if isinstance(cached, str) else None


def load_tokenizer(tokenizer_file: Path) -> Tokenizer:
    """A tokenizer that neither pads nor truncates, whatever its file says.

    Raises AssetError naming the file if it is missing, or no tokenizer.
    """
    if not tokenizer_file.is_file():
        raise AssetError(
            f"no tokenizer at {tokenizer_file}: pull the profile's assets, or put the model's there"
        )
    try:
        # Not `from_file`, whose complaints are of no class of their own.
        tokenizer = Tokenizer.from_buffer(tokenizer_file.read_bytes())
    except (OSError, ValueError) as exc:
        raise AssetError(
            f"{tokenizer_file} cannot be read ({exc}): put the model's tokenizer.json there anew"
        ) from exc
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
