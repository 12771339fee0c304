"""Appends masked mean pooling and L2 normalisation to a BERT-like ONNX encoder.

The graph then ends in `sentence_embedding`, float32 [batch, dimension], in place of the token
embeddings [batch, sequence, dimension]:

    e = sum_t m_t h_t / max(sum_t m_t, 1e-9);   e / max(||e||_2, 1e-12)

as in Reimers and Gurevych, Sentence-BERT (2019), with the epsilons of `sentence-transformers`.
Inputs are untouched: input_ids, attention_mask and, if the graph has it, token_type_ids.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from budgetmem.errors import AssetError

TOOL = "onnx"
OUTPUT = "sentence_embedding"
_MASK = "attention_mask"
_FIRST_OPSET_WITH_AXES_AS_INPUT = 13


def run(source: Path, target: Path) -> None:
    """Reads the ONNX model at `source` and writes the pooled one to `target`.

    Raises AssetError if the graph has no attention mask, or an opset older than 13.
    """
    model = onnx.load(str(source))
    _check(model, source)
    graph = model.graph
    hidden = graph.output[0]
    batch, _, dimension = hidden.type.tensor_type.shape.dim
    shape = [batch.dim_param or batch.dim_value, dimension.dim_value]
    pooled = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape)
    graph.initializer.extend(_constants())
    graph.node.extend(_pooling(hidden.name))
    del graph.output[:]
    graph.output.append(pooled)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


def _check(model: onnx.ModelProto, source: Path) -> None:
    opset = next(o.version for o in model.opset_import if o.domain in {"", "ai.onnx"})
    if opset < _FIRST_OPSET_WITH_AXES_AS_INPUT:
        raise AssetError(f"{source.name}: opset {opset}, at least 13 is needed")
    if _MASK not in {tensor.name for tensor in model.graph.input}:
        raise AssetError(f"{source.name}: the graph has no input {_MASK!r}")


def _constants() -> list[TensorProto]:
    values: dict[str, NDArray[np.generic]] = {
        "pool/sequence": np.array([1], np.int64),
        "pool/last": np.array([-1], np.int64),
        "pool/min_count": np.asarray(1e-9, np.float32),
        "pool/min_norm": np.asarray(1e-12, np.float32),
    }
    return [numpy_helper.from_array(value, name) for name, value in values.items()]


def _pooling(hidden: str) -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Cast", [_MASK], ["pool/flat_mask"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["pool/flat_mask", "pool/last"], ["pool/mask"]),
        node("Mul", [hidden, "pool/mask"], ["pool/masked"]),
        node("ReduceSum", ["pool/masked", "pool/sequence"], ["pool/sum"], keepdims=0),
        node("ReduceSum", ["pool/mask", "pool/sequence"], ["pool/raw_count"], keepdims=0),
        node("Max", ["pool/raw_count", "pool/min_count"], ["pool/count"]),
        node("Div", ["pool/sum", "pool/count"], ["pool/mean"]),
        node("Mul", ["pool/mean", "pool/mean"], ["pool/squares"]),
        node("ReduceSum", ["pool/squares", "pool/last"], ["pool/squared_norm"], keepdims=1),
        node("Sqrt", ["pool/squared_norm"], ["pool/raw_norm"]),
        node("Max", ["pool/raw_norm", "pool/min_norm"], ["pool/norm"]),
        node("Div", ["pool/mean", "pool/norm"], [OUTPUT]),
    ]
