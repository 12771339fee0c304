from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

gguf = pytest.importorskip("gguf", reason="needs budgetmem[embedded]")

from gguf.constants import GGMLQuantizationType as Quantization  # noqa: E402
from gguf.quants import dequantize, quantize  # noqa: E402

from budgetmem.assets.steps import load_step  # noqa: E402

WEIGHTS = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
NORM = np.arange(8, dtype=np.float32)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.gguf"
    writer = gguf.GGUFWriter(path, arch="qwen2")
    writer.add_uint32("qwen2.block_count", 24)
    writer.add_float32("qwen2.attention.layer_norm_rms_epsilon", 1e-6)
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    writer.add_array("tokenizer.ggml.tokens", ["a", "é", "Ġb"])
    writer.add_array("tokenizer.ggml.token_type", [1, 1, 3])
    writer.add_tensor("q5", quantize(WEIGHTS, Quantization.Q5_0), raw_dtype=Quantization.Q5_0)
    writer.add_tensor("norm", NORM)
    writer.add_tensor("q4", quantize(WEIGHTS, Quantization.Q4_1), raw_dtype=Quantization.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def metadata(reader: gguf.GGUFReader) -> dict[str, object]:
    fields = reader.fields.values()
    return {f.name: (f.types, f.contents()) for f in fields if not f.name.startswith("GGUF.")}


def test_only_q5_0_is_rewritten_and_its_weights_hardly_move(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.gguf"
    load_step("gguf-q5_0-to-q8_0").run(source, target)
    before = {tensor.name: tensor for tensor in gguf.GGUFReader(source).tensors}
    after = {tensor.name: tensor for tensor in gguf.GGUFReader(target).tensors}
    kinds = [(name, tensor.tensor_type.name) for name, tensor in after.items()]
    assert kinds == [("q5", "Q8_0"), ("norm", "F32"), ("q4", "Q4_1")]
    np.testing.assert_array_equal(after["norm"].data, NORM)
    np.testing.assert_array_equal(after["q4"].data, before["q4"].data)
    np.testing.assert_array_equal(after["q5"].shape, before["q5"].shape)
    old = dequantize(before["q5"].data, Quantization.Q5_0).reshape(-1, 32)
    new = dequantize(after["q5"].data, Quantization.Q8_0).reshape(-1, 32)
    half_step = np.abs(old).max(axis=1, keepdims=True) / 254
    # Q8_0 keeps its scale in float16: 2^-11 of the largest weight on top of half a step.
    assert np.all(np.abs(new - old) <= half_step * 1.2)


def test_metadata_is_copied_with_its_types(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.gguf"
    load_step("gguf-q5_0-to-q8_0").run(source, target)
    assert metadata(gguf.GGUFReader(target)) == metadata(gguf.GGUFReader(source))


def test_the_result_is_the_same_every_time(source: Path, tmp_path: Path) -> None:
    step = load_step("gguf-q5_0-to-q8_0")
    for name in ("one", "two"):
        step.run(source, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
