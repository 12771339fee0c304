"""Token counters never fall short of the model's own count."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from budgetmem import tokens
from budgetmem.errors import AssetError
from budgetmem.tokens import ByteCounter, FileTokens, hub_tokens


def byte_level_tokenizer() -> Tokenizer:
    """The worst case of byte-level BPE: no merges, so every byte is a token."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>"])
    return tokenizer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tokenizer = byte_level_tokenizer()
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=64)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def test_counts_neither_stop_at_the_files_truncation_nor_count_its_padding(file):
    assert FileTokens(file).count("hello") == 5


def test_special_tokens_of_a_template_count_as_one(file):
    assert FileTokens(file).count("<|im_start|>user") == 5


def test_threads_may_share_a_counter(file):
    counter = FileTokens(file)
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(counter.count, ["x" * n for n in range(200)]))
    assert counts == list(range(200))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AssetError, match=r"no tokenizer at .*absent\.json"):
        FileTokens(tmp_path / "absent.json")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"version": "9.0"}'])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path, content):
    broken = tmp_path / "tokenizer.json"
    broken.write_bytes(content)
    with pytest.raises(AssetError, match=r"tokenizer\.json cannot be read .*put the model's"):
        FileTokens(broken)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_bytes_are_an_upper_bound_of_byte_level_bpe(text):
    exact = len(byte_level_tokenizer().encode(text).ids)
    assert exact <= ByteCounter().count(text)


def test_a_hub_model_is_counted_by_its_cached_tokenizer(file, monkeypatch):
    monkeypatch.setattr(tokens, "try_to_load_from_cache", lambda hub_id, name: str(file))
    assert hub_tokens("some/model").count("hello") == 5


def test_a_hub_model_without_tokenizer_is_counted_in_bytes_with_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(tokens, "try_to_load_from_cache", lambda hub_id, name: None)
    with caplog.at_level(logging.WARNING):
        assert hub_tokens("some/model").count("é") == 4
    assert "hf download some/model tokenizer.json" in caplog.text
