"""What a router's graph may be made of; read from the file before ONNX Runtime gets it.

A graph is a program. ONNX Runtime runs parts of it already when it opens it, and ends the whole
process on some that it accepts, such as a normal distribution with a scale of 0. So a graph has
only known operators: a fixed sequence of arithmetic, nothing random, no branches or loops.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from budgetmem.errors import ConfigError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto

_LAYERS = """
    Gemm MatMul LayerNormalization Clip Relu LeakyRelu Elu Gelu Sigmoid HardSigmoid Tanh Softplus
    Softsign Softmax LogSoftmax
"""
_ARITHMETIC = """
    Add Sub Mul Div Mod Neg Abs Sqrt Exp Log Pow Reciprocal Sign Floor Ceil Min Max Sum Mean CumSum
    ReduceSum ReduceMean ReduceMax ReduceMin Equal Less LessOrEqual Greater GreaterOrEqual And Or
    Not Where
"""
_SHAPES = """
    Cast Concat Constant ConstantOfShape Expand Flatten Gather GatherElements Identity Pad Reshape
    Shape Slice Split Squeeze Transpose Unsqueeze
"""
OPERATORS = frozenset(f"{_LAYERS} {_ARITHMETIC} {_SHAPES}".split())
"""The operators of ONNX that a router may have: those of training/export_onnx.py, and a margin."""

DOMAINS = ("", "ai.onnx")
"""The two names of ONNX's own operators."""

AGAIN = "export the router again"
FAILED = "the training failed, export an earlier checkpoint"


def check_model(content: bytes, opset: int) -> None:
    """Whether the bytes of an ONNX file are a graph that may be opened. Needs the package `onnx`.

    Raises ConfigError for what is no ONNX file, for operators that are not in OPERATORS or not of
    ONNX's operator set `opset`, for weights that lie in other files, and for weights that are not
    finite: a saturated activation can hide such a weight from every trial.
    """
    model = _parse(content)
    _check_operators(model, opset)
    for name, tensor in _weights(model.graph):
        _check_weights(name, tensor)


def _parse(content: bytes) -> ModelProto:
    import onnx  # noqa: PLC0415 - an optional dependency
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - with the line above

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as exc:
        raise ConfigError(f"not an ONNX file: {AGAIN}") from exc
    if not model.graph.node:
        raise ConfigError(f"not an ONNX file, or one without a graph: {AGAIN}")
    return model


def _check_operators(model: ModelProto, opset: int) -> None:
    used = {(node.domain, node.op_type) for node in model.graph.node}
    unknown = sorted(
        f"{domain}.{name}" if domain else name
        for domain, name in used
        if domain not in DOMAINS or name not in OPERATORS
    )
    if unknown:
        raise ConfigError(f"no router may have the operators {', '.join(unknown)}: {AGAIN}")
    if model.functions:
        names = ", ".join(function.name for function in model.functions)
        raise ConfigError(f"it has operators of its own, {names}: {AGAIN}")
    sets = {each.domain: each.version for each in model.opset_import}
    if not set(sets) <= set(DOMAINS) or set(sets.values()) != {opset}:
        found = ", ".join(f"{domain or DOMAINS[1]} {version}" for domain, version in sets.items())
        raise ConfigError(f"its operator sets are {found}, its card says {opset}: {AGAIN}")


def _weights(graph: GraphProto) -> Iterator[tuple[str, TensorProto]]:
    """All tensors in the file, by name: initial values, and those of constants.

    Raises ConfigError for numbers that are no tensors and not finite, and for sparse weights.
    """
    if graph.sparse_initializer:
        raise ConfigError(f"it has sparse weights, which no router has: {AGAIN}")
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        for attribute in node.attribute:
            name = node.name or node.op_type
            if attribute.HasField("t"):
                yield name, attribute.t
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise ConfigError(f"{name!r} has sparse weights, which no router has: {AGAIN}")
            if not np.isfinite([attribute.f, *attribute.floats]).all():
                raise ConfigError(f"the numbers of {name!r} are not finite: {FAILED}")


def _check_weights(name: str, tensor: TensorProto) -> None:
    import onnx  # noqa: PLC0415 - an optional dependency

    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise ConfigError(f"the weights {name!r} lie in another file: {AGAIN}")
    try:
        finite = np.isfinite(onnx.numpy_helper.to_array(tensor)).all()
    except (ValueError, TypeError, KeyError) as exc:
        raise ConfigError(f"the weights {name!r} cannot be read: {exc}: {AGAIN}") from exc
    if not finite:
        raise ConfigError(f"the weights {name!r} are not finite: {FAILED}")
