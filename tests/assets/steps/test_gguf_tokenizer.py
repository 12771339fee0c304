from __future__ import annotations

import random
from pathlib import Path

import pytest

gguf = pytest.importorskip("gguf", reason="needs budgetmem[embedded]")

from tokenizers import Tokenizer, pre_tokenizers  # noqa: E402

from budgetmem.assets import asset_dir  # noqa: E402
from budgetmem.assets.steps import load_step  # noqa: E402
from budgetmem.errors import AssetError  # noqa: E402

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGED = {"he": "h e", "ll": "l l", "hell": "he ll", "12": "1 2", "Ġo": "Ġ o"}
SPECIAL = ["<|im_start|>", "<tool_call>"]
TOKENS = [*BYTES, *MERGED, *SPECIAL]
TYPES = [1] * (len(TOKENS) - 2) + [3, 4]


def vocabulary(path: Path, pre: str = "smollm", model: str = "gpt2", bos: bool = False) -> Path:
    writer = gguf.GGUFWriter(path, arch="llama")
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types(TYPES)
    writer.add_token_merges(list(MERGED.values()))
    writer.add_add_bos_token(bos)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def converted(folder: Path, pre: str) -> Tokenizer:
    target = folder / "tokenizer.json"
    load_step("gguf-tokenizer").run(vocabulary(folder / "model.gguf", pre), target)
    return Tokenizer.from_file(str(target))


@pytest.mark.parametrize("pre", ["smollm", "qwen2"])
@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("hello", ["hell", "o"]),
        (" o", ["Ġo"]),
        ("12", ["1", "2"]),
        ("<|im_start|>he", ["<|im_start|>", "he"]),
        ("<tool_call>", ["<tool_call>"]),
        ("é", ["Ã", "©"]),
        ("", []),
    ],
)
def test_text_is_split_as_the_engine_does(
    tmp_path: Path, pre: str, text: str, tokens: list[str]
) -> None:
    assert converted(tmp_path, pre).encode(text).tokens == tokens


def test_ids_are_those_of_the_gguf(tmp_path: Path) -> None:
    tokenizer = converted(tmp_path, "qwen2")
    assert [tokenizer.token_to_id(token) for token in TOKENS] == list(range(len(TOKENS)))
    assert tokenizer.get_vocab_size() == len(TOKENS)


def test_decoding_leaves_out_control_tokens_only(tmp_path: Path) -> None:
    tokenizer = converted(tmp_path, "smollm")
    ids = tokenizer.encode("<|im_start|>hé <tool_call>").ids
    assert tokenizer.decode(ids) == "hé <tool_call>"


@pytest.mark.parametrize(
    ("vocab", "message"),
    [({"pre": "llama-bpe"}, "llama-bpe"), ({"model": "llama"}, "'llama'"), ({"bos": True}, "BOS")],
)
def test_what_cannot_be_exact_is_refused(
    tmp_path: Path, vocab: dict[str, str | bool], message: str
) -> None:
    source = vocabulary(tmp_path / "model.gguf", **vocab)
    with pytest.raises(AssetError, match=message):
        load_step("gguf-tokenizer").run(source, tmp_path / "tokenizer.json")


FRAGMENTS = [
    "Caroline: I'll be there at 10:45, won't you?",
    "  leading, trailing  ",
    "tabs\tand\r\n\r\n lines\n",
    "naïve cafe\u0301 \u1100\u1161\u11a8",
    "👩‍👩‍👧‍👦 party 🎉🎉",
    "日本語のテキスト 中文 한국어",
    "العربية שלום",
    "1234567890 3.14 ½ ² Ⅷ ٣",
    "def f(x):\n    return x**2  # why\n",
    "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
    "<|endoftext|>a<|im_end|>b",
    "'S 'LL I'M IT'S DON'T",
    "\u00a0nbsp\u2003em\u200bzero",
    "https://a.b/c?d=e&f=%20",
    "   ",
    "\x00\x01",
]


@pytest.mark.parametrize("name", ["smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"])
def test_counts_equal_those_of_the_engine(name: str) -> None:
    genai = pytest.importorskip("openvino_genai", reason="needs budgetmem[embedded]")
    try:
        folder = asset_dir(name)
    except AssetError as exc:
        pytest.skip(str(exc))
    choose = random.Random(0)
    joined = [" ".join(choose.sample(FRAGMENTS, choose.randint(2, 4))) for _ in range(184)]
    ours = Tokenizer.from_file(str(folder / "tokenizer.json"))
    engine = genai.Tokenizer(str(folder / "model.gguf"))
    for text in [*FRAGMENTS, *joined]:
        expected = engine.encode(text, add_special_tokens=False).input_ids.data[0].tolist()
        assert ours.encode(text, add_special_tokens=False).ids == expected
