"""Router artifacts for tests: a tiny ONNX graph whose logits do not depend on the state."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from budgetmem.features import NAMES
from budgetmem.modules import MODULES
from budgetmem.router_artifact import encoder_sha256
from budgetmem.tiers import STRATEGIES, Tier

UNTRAINED = dict.fromkeys(STRATEGIES, "fixed-mid")
"""The versions of a server's routers where it has none but that of its own."""

OPSET = 17
ENCODER = {"name": "minilm-l6-v2", "dimension": 384, "sha256": encoder_sha256("minilm-l6-v2")}


def write_router(
    folder: Path,
    strategy: str = "capacity",
    tier: Tier = Tier.LOW,
    *,
    dimension: int = 384,
    fragile: bool = False,
    slope: float = 1.0,
    **changes: object,
) -> str:
    """Writes a router that wants one tier, less so the larger the cost weight; its version.

    If it is `fragile` its logits are no numbers where many tokens were retrieved: it loads, but
    fails on a trial. `slope` is what a tier costs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "router.onnx"
    onnx.save(_graph(tier, dimension, fragile, slope), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    card = {
        "format": 1,
        "onnx_sha256": digest,
        "opset": OPSET,
        "encoder": ENCODER | {"dimension": dimension},
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


def _graph(tier: Tier, dimension: int, fragile: bool, slope: float) -> onnx.ModelProto:
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
        helper.make_tensor("slope", TensorProto.FLOAT, [1, 3], [0.0, -slope, -2 * slope]),
        helper.make_tensor("wants", TensorProto.FLOAT, [1, 3], wants),
        helper.make_tensor("place", TensorProto.INT64, [1], [NAMES.index("retrieved.tokens")]),
        helper.make_tensor("most", TensorProto.FLOAT, [1], [np.log1p(100) if fragile else 1e6]),
        helper.make_tensor("nothing", TensorProto.FLOAT, [1], [0.0]),
    ]
    nodes = [
        helper.make_node("Unsqueeze", ["cost_weight", "one"], ["weights"]),
        helper.make_node("Mul", ["weights", "slope"], ["costs"]),
        helper.make_node("Add", ["costs", "wants"], ["steady"]),
        helper.make_node("Gather", ["features", "place"], ["tokens"], axis=1),
        helper.make_node("Sub", ["most", "tokens"], ["left"]),
        helper.make_node("Sqrt", ["left"], ["root"]),
        helper.make_node("Mul", ["root", "nothing"], ["zero"]),
        helper.make_node("Add", ["steady", "zero"], ["logits"]),
    ]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph(nodes, "router", inputs, [logits], constants)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)
