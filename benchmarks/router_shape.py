"""The router's arithmetic without the router: a micro-batch of features, two layers, tiers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

WIDTH = 1024
HIDDEN = 256
TIERS = 3
INPUT, OUTPUT = "features", "logits"


def write_mlp(path: Path, seed: int = 0) -> None:
    """An ONNX file of the paper's shape: float32 [n, 1024] through 256 hidden units to [n, 3]."""
    rng = np.random.default_rng(seed)
    shapes = {"w1": (WIDTH, HIDDEN), "b1": (HIDDEN,), "w2": (HIDDEN, TIERS), "b2": (TIERS,)}
    weights = [
        numpy_helper.from_array(rng.normal(0, 0.05, shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Gemm", [INPUT, "w1", "b1"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "w2", "b2"], [OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", TIERS])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


class NumpyDecisions:
    """What DecisionBuffer and choose_tiers do, in numpy."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.float32]] = []
        self._masks: list[NDArray[np.uint8]] = []

    def add(self, rows: NDArray[np.float32], masks: NDArray[np.uint8]) -> None:
        if not np.isfinite(rows).all():
            raise ValueError("rows")
        self._rows.append(rows)
        self._masks.append(masks)

    def take(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        taken = np.concatenate(self._rows), np.concatenate(self._masks)
        self._rows.clear()
        self._masks.clear()
        return taken


def choose_with_numpy(
    logits: NDArray[np.float32], masks: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Arg max and softmax over what is not masked, as choose_tiers has it."""
    masked = (masks[:, None] >> np.arange(logits.shape[1])) & 1
    allowed = np.where(masked, -np.inf, logits)
    allowed[masked.all(axis=1), 0] = 0
    scaled = np.exp(allowed - allowed.max(axis=1, keepdims=True))
    probabilities = scaled / scaled.sum(axis=1, keepdims=True)
    return allowed.argmax(axis=1).astype(np.uint8), probabilities.astype(np.float32)
