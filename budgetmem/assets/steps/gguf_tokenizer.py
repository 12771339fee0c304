"""Writes a Hugging Face `tokenizer.json` from the vocabulary and merges of a GGUF file.

With it tokens are counted exactly without loading the engine. Only byte-level BPE vocabularies
(`tokenizer.ggml.model` = gpt2) with a known pre-tokenizer are converted.
Like the GGUF engines, and unlike Qwen's own tokenizer.json, text is not NFC-normalised.
Pre-tokenizers: `llama-vocab.cpp` of https://github.com/ggml-org/llama.cpp, by `tokenizer.ggml.pre`.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import cast

from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models
from tokenizers import pre_tokenizers as pre

from budgetmem.errors import AssetError

TOOL = "tokenizers"

_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class _TokenType(IntEnum):
    CONTROL = 3
    USER_DEFINED = 4


def _smollm(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre.Sequence(
        [pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False)]
    )


def _qwen2(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre.Sequence(
        [
            pre.Split(Regex(_QWEN2), behavior="isolated"),
            pre.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


_PRE_TOKENIZERS = {"smollm": _smollm, "qwen2": _qwen2}


def run(source: Path, target: Path) -> None:
    """Reads the GGUF at `source` and writes `tokenizer.json` to `target`.

    Raises AssetError if the vocabulary is not byte-level BPE, its pre-tokenizer is unknown, or a
    token is to be put in front of every text.
    """
    reader = GGUFReader(source)
    kind, splitter = _field(reader, "model"), _field(reader, "pre")
    if kind != "gpt2" or splitter not in _PRE_TOKENIZERS:
        raise AssetError(f"{source.name}: cannot convert a {kind!r} / {splitter!r} vocabulary")
    if _field(reader, "add_bos_token"):
        raise AssetError(f"{source.name}: vocabularies that add a BOS token are not converted")
    tokens = cast("list[str]", _field(reader, "tokens"))
    types = cast("list[int]", _field(reader, "token_type"))
    rules = cast("list[str]", _field(reader, "merges"))
    merges = [(left, right) for left, _, right in (rule.partition(" ") for rule in rules)]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    _PRE_TOKENIZERS[splitter](tokenizer)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(_added(tokens, types))
    tokenizer.save(str(target))


def _added(tokens: list[str], types: list[int]) -> list[AddedToken]:
    return [
        AddedToken(token, special=kind == _TokenType.CONTROL, normalized=False)
        for token, kind in zip(tokens, types, strict=True)
        if kind in (_TokenType.CONTROL, _TokenType.USER_DEFINED)
    ]


def _field(reader: GGUFReader, name: str) -> object:
    field = reader.get_field(f"tokenizer.ggml.{name}")
    return None if field is None else field.contents()
