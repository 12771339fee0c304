"""Router artifacts for tests: a tiny ONNX graph whose logits do not depend on the state."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from budgetmem.features import NAMES
from budgetmem.modules import MODULES
from budgetmem.tiers import Tier

OPSET = 17


def write_router(
    folder: Path,
    strategy: str = "capacity",
    tier: Tier = Tier.LOW,
    *,
    dimension: int = 384,
    noise: bool = False,
    **changes: object,
) -> str:
    """Writes a router that wants one tier, less so the larger the cost weight; its version.

    With `noise` its logits are random: it loads, but fails on a trial.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "router.onnx"
    onnx.save(_graph(tier, dimension, noise), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    card = {
        "format": 1,
        "onnx_sha256": digest,
        "opset": OPSET,
        "encoder": {"name": "minilm-l6-v2", "dimension": dimension},
        "strategy": strategy,
        "profile": "small",
        "modules": list(MODULES),
        "features": list(NAMES),
        "cost_weight": {"min": 0.0, "max": 1.0},
        "training": {"dataset": "none", "seed": 0},
        "metrics": {"reward": 0.5},
        "licence": "Apache-2.0",
        "version": f"{strategy}-{digest[:8]}",
    } | changes
    (folder / "router.json").write_text(json.dumps(card), encoding="utf-8")
    (folder / "README.md").write_text("# A router of the tests\n", encoding="utf-8")
    return str(card["version"])


def _graph(tier: Tier, dimension: int, noise: bool) -> onnx.ModelProto:
    wants = [5.0 if tier == each else 0.0 for each in Tier]
    inputs = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (
            ("query", TensorProto.FLOAT, ["n", dimension]),
            ("state", TensorProto.FLOAT, ["n", dimension]),
            ("features", TensorProto.FLOAT, ["n", len(NAMES)]),
            ("module", TensorProto.INT64, ["n"]),
            ("cost_weight", TensorProto.FLOAT, ["n"]),
        )
    ]
    constants = [
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("slope", TensorProto.FLOAT, [1, 3], [0.0, -1.0, -2.0]),
        helper.make_tensor("wants", TensorProto.FLOAT, [1, 3], wants),
    ]
    nodes = [
        helper.make_node("Unsqueeze", ["cost_weight", "one"], ["weights"]),
        helper.make_node("Mul", ["weights", "slope"], ["costs"]),
        helper.make_node("Add", ["costs", "wants"], ["steady"]),
        helper.make_node("RandomUniformLike", ["steady"], ["random"], high=float(noise)),
        helper.make_node("Add", ["steady", "random"], ["logits"]),
    ]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph(nodes, "router", inputs, [logits], constants)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)
