from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs budgetmem[embedded]")
ort = pytest.importorskip("onnxruntime", reason="needs budgetmem[embedded]")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from budgetmem.assets import asset_dir  # noqa: E402
from budgetmem.assets.steps import load_step  # noqa: E402
from budgetmem.errors import AssetError  # noqa: E402

TABLE = np.array([[0, 0], [3, 0], [0, 4], [9, 9]], np.float32)
ROOT_HALF = 0.5**0.5


def encoder(path: Path, mask: str = "attention_mask", opset: int = 17) -> Path:
    """Looks token ids up in TABLE; the mask goes in and is not used."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", mask)
    ]
    hidden = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["batch", "sequence", 2])
    look_up = helper.make_node("Gather", ["table", "input_ids"], ["hidden"])
    table = numpy_helper.from_array(TABLE, "table")
    graph = helper.make_graph([look_up], "encoder", inputs, [hidden], [table])
    imports = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), str(path))
    return path


def pooled(folder: Path) -> ort.InferenceSession:
    target = folder / "pooled.onnx"
    load_step("onnx-pool").run(encoder(folder / "encoder.onnx"), target)
    return ort.InferenceSession(str(target))


@pytest.mark.parametrize(
    ("ids", "mask", "expected"),
    [
        ([[1]], [[1]], [[1, 0]]),
        ([[1, 2, 3]], [[1, 0, 0]], [[1, 0]]),
        ([[1, 2], [2, 3]], [[1, 1], [1, 0]], [[0.6, 0.8], [0, 1]]),
        ([[1, 3, 3]], [[0, 1, 1]], [[ROOT_HALF, ROOT_HALF]]),
        ([[3]], [[0]], [[0, 0]]),
        ([[0]], [[1]], [[0, 0]]),
    ],
    ids=["one token", "masked", "batch", "masked head", "nothing but padding", "zero vector"],
)
def test_masked_mean_of_unit_length(
    tmp_path: Path, ids: list[list[int]], mask: list[list[int]], expected: list[list[float]]
) -> None:
    feed = {"input_ids": np.array(ids, np.int64), "attention_mask": np.array(mask, np.int64)}
    (embedding,) = pooled(tmp_path).run(["sentence_embedding"], feed)
    assert embedding.dtype == np.float32
    np.testing.assert_allclose(embedding, expected, atol=1e-6)


def test_inputs_stay_and_the_output_is_one(tmp_path: Path) -> None:
    session = pooled(tmp_path)
    assert [tensor.name for tensor in session.get_inputs()] == ["input_ids", "attention_mask"]
    (output,) = session.get_outputs()
    assert (output.name, output.shape) == ("sentence_embedding", ["batch", 2])


@pytest.mark.parametrize(
    ("change", "message"), [({"mask": "mask"}, "no input 'attention_mask'"), ({"opset": 12}, "12")]
)
def test_a_graph_that_cannot_be_pooled_is_refused(
    tmp_path: Path, change: dict[str, str | int], message: str
) -> None:
    source = encoder(tmp_path / "encoder.onnx", **change)
    with pytest.raises(AssetError, match=message):
        load_step("onnx-pool").run(source, tmp_path / "pooled.onnx")


def test_the_real_encoder_gives_unit_vectors_that_padding_does_not_change() -> None:
    try:
        folder = asset_dir("minilm-l6-v2")
    except AssetError as exc:
        pytest.skip(str(exc))
    session = ort.InferenceSession(str(folder / "model.onnx"))

    def embed(ids: list[int], padding: int) -> np.ndarray:
        row = np.array([[*ids, *[0] * padding]], np.int64)
        mask = (np.arange(row.shape[1]) < len(ids)).astype(np.int64)[None]
        feed = {"input_ids": row, "attention_mask": mask, "token_type_ids": row * 0}
        return session.run(["sentence_embedding"], feed)[0][0]

    bare, padded = embed([101, 7592, 2088, 102], 0), embed([101, 7592, 2088, 102], 9)
    assert bare.shape == (384,)
    assert np.linalg.norm(bare) == pytest.approx(1, abs=1e-5)
    # Not equal: int8 activations are scaled by the range of the whole batch, padding included.
    assert bare @ padded > 0.98
