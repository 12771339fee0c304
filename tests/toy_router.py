"""A router artifact whose arithmetic fits in a line, made without PyTorch.

logits = [query, state, features] @ weights + bias[module] + cost_weight * slope
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from budgetmem.modules import MODULES
from budgetmem.router_artifact import encoder_sha256, short_version

onnx = pytest.importorskip("onnx", reason="needs the `embedded` extra")
pytest.importorskip("onnxruntime", reason="needs the `embedded` extra")

DIMENSION = 4
ENCODER = {
    "name": "minilm-l6-v2",
    "dimension": DIMENSION,
    "sha256": encoder_sha256("minilm-l6-v2"),
}
FEATURES = ("question.words", "retrieved.chunks", "findings.entity")


@dataclass(frozen=True)
class Toy:
    """The numbers of a toy router."""

    weights: np.ndarray
    bias: np.ndarray
    slope: np.ndarray

    @classmethod
    def make(cls, seed: int = 0, dimension: int = DIMENSION, tiers: int = 3) -> Toy:
        random = np.random.default_rng(seed)
        shapes = (2 * dimension + len(FEATURES), tiers), (len(MODULES), tiers), (1, tiers)
        return cls(*(random.normal(size=shape).astype(np.float32) for shape in shapes))

    def logits(self, seen, module, cost_weight):
        return seen @ self.weights + self.bias[module] + cost_weight * self.slope[0]

    def write(
        self,
        path: Path,
        *,
        rows: str | int = "n",
        output: str = "logits",
        module_type: int = onnx.TensorProto.INT64,
        opset: int = 17,
    ) -> None:
        helper, number = onnx.helper, onnx.TensorProto.FLOAT
        dimension = (len(self.weights) - len(FEATURES)) // 2
        inputs = {
            "query": (number, [rows, dimension]),
            "state": (number, [rows, dimension]),
            "features": (number, [rows, len(FEATURES)]),
            "module": (module_type, [rows]),
            "cost_weight": (number, [rows]),
        }
        nodes = [
            helper.make_node("Concat", ["query", "state", "features"], ["seen"], axis=1),
            helper.make_node("MatMul", ["seen", "weights"], ["product"]),
            helper.make_node("Gather", ["bias", "module"], ["own"]),
            helper.make_node("Unsqueeze", ["cost_weight", "one"], ["column"]),
            helper.make_node("MatMul", ["column", "slope"], ["cost"]),
            helper.make_node("Sum", ["product", "own", "cost"], [output]),
        ]
        values = {"weights": self.weights, "bias": self.bias, "slope": self.slope}
        graph = helper.make_graph(
            nodes,
            "toy",
            [helper.make_tensor_value_info(name, *form) for name, form in inputs.items()],
            [helper.make_tensor_value_info(output, number, ["n", None])],
            [
                onnx.numpy_helper.from_array(value, name)
                for name, value in (values | {"one": np.array([1])}).items()
            ],
        )
        imports = [helper.make_opsetid("", opset)]
        onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)


def write_card(folder: Path, **fields: object) -> None:
    """The router.json that fits the graph in the folder, but for `fields`; None leaves one out."""
    sha256 = hashlib.sha256((folder / "router.onnx").read_bytes()).hexdigest()
    card = {
        "format": 1,
        "onnx_sha256": sha256,
        "opset": 17,
        "encoder": ENCODER,
        "strategy": "capacity",
        "profile": "small",
        "modules": list(MODULES),
        "features": list(FEATURES),
        "cost_weight": {"min": 0.0, "max": 0.9},
        "training": {"questions": 3},
        "metrics": {"score": 0.5},
        "licence": "Apache-2.0",
        "version": short_version("capacity", sha256),
    } | fields
    kept = {name: value for name, value in card.items() if value is not None}
    (folder / "router.json").write_text(json.dumps(kept), encoding="utf-8")


def write_router(folder: Path, toy: Toy | None = None, **fields: object) -> Path:
    """A whole artifact."""
    folder.mkdir(parents=True, exist_ok=True)
    (toy or Toy.make()).write(folder / "router.onnx")
    write_card(folder, **fields)
    return folder
