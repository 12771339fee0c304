"""Makes a router that can serve of a trained policy.

    python training/export_onnx.py runs/capacity/best.pt routers/capacity

    python training/export_onnx.py runs/capacity/best.pt routers/capacity --figures figures.jsonl.gz

Writes `router.onnx` (one graph for all modules and every lambda), `router.json` (what it is and
what it needs) and `README.md` (the same for people). The graph must answer as PyTorch does and pass
the checks of the server, before anything in the folder is replaced. The card has the metrics by
which the weights were chosen, or, with the figures of an evaluation of this very router, what it
came to when it ran.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import pickle
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from budgetmem.errors import BudgetMemError, ConfigError
from budgetmem.modules import MODULES
from budgetmem.onnx_session import OnnxSession
from budgetmem.router_artifact import (
    CARD_FILE,
    FORMAT,
    ONNX_FILE,
    README_FILE,
    Artifact,
    load,
    short_version,
)
from budgetmem.router_graph import INPUTS, OUTPUT
from budgetmem.tiers import Tier
from training.checkpoints import make_folder
from training.measured import measured
from training.policies import ConditionedPolicy, PolicyShape
from training.reporting.figures import Figures, read_figures
from training.router_readme import readme

OPSET = 17
"""The ONNX operator set of the graph: in every ONNX Runtime since 1.12."""

PARITY_BATCHES = (1, 2, 7, 64, 257)
PARITY = 1e-5
"""How far a logit may be from PyTorch's; of those beyond 1 a share, as float32 has seven digits."""

CHECKPOINT_KEYS = ("policy", "shape", "card")
CARD_KEYS = (
    "strategy",
    "profile",
    "encoder",
    "features",
    "cost_weight",
    "training",
    "metrics",
    "licence",
)

Card = Mapping[str, Any]


def main() -> None:
    """The command. Exit code 1 for a checkpoint or policy that makes no router."""
    parser = argparse.ArgumentParser(
        description="Exports a trained policy as a router for `budgetmem serve --router FOLDER`."
    )
    parser.add_argument("checkpoint", type=Path, help="best.pt of a training run")
    parser.add_argument("folder", type=Path, help="where the router is written")
    parser.add_argument(
        "--figures", type=Path, help="of training/evaluate.py, which ran this router: for its card"
    )
    args = parser.parse_args()
    console = Console(stderr=True)
    try:
        policy, card = read_checkpoint(args.checkpoint)
        figures = None if args.figures is None else read_figures(args.figures)
        artifact = export(policy, card, args.folder, figures)
    except BudgetMemError as exc:
        console.print(f"error: {exc}", markup=False)
        sys.exit(1)
    console.print(f"{args.folder}: router {artifact.card.version}", markup=False)


def read_checkpoint(path: Path) -> tuple[ConditionedPolicy, Card]:
    """The policy of a checkpoint, and the fields for its card.

    The file is what `torch.load(path, weights_only=True)` reads as a dict of `policy` (a
    state_dict), `shape` (fields of PolicyShape) and `card` (`CARD_KEYS`). Raises ConfigError for
    one that is absent, truncated, or of something else.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such checkpoint: training/train.py writes best.pt")
    faulty = f"{path}: not a checkpoint, or cut off: copy it again, or take the one before"
    if not zipfile.is_zipfile(path):  # torch would guess at other formats
        raise ConfigError(faulty)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, pickle.UnpicklingError) as exc:
        raise ConfigError(f"{faulty}: {exc}") from exc
    if not isinstance(found, dict) or not all(
        isinstance(found.get(key), Mapping) for key in CHECKPOINT_KEYS
    ):
        raise ConfigError(
            f"{path}: has no {', '.join(CHECKPOINT_KEYS)}: name best.pt, which training/train.py "
            "writes for the export"
        )
    try:
        policy = ConditionedPolicy(PolicyShape(**found["shape"]))
        policy.load_state_dict(found["policy"])
    except (TypeError, RuntimeError) as exc:
        raise ConfigError(f"{path}: its weights are of another policy: {exc}") from exc
    return policy, found["card"]


def export(
    policy: ConditionedPolicy, card: Card, folder: Path, figures: Figures | None = None
) -> Artifact:
    """Writes the router's folder, and returns what a server loads of it.

    `card` has `CARD_KEYS`; format, opset, modules, hash and version are added, and metrics replaced
    by those of `figures`. Raises ConfigError if a field is missing, if the figures are of another
    router, if the folder cannot be made, if a logit differs from PyTorch's by more than `PARITY`,
    or if the router could not serve; what was in the folder then stays.
    """
    if missing := [key for key in CARD_KEYS if key not in card]:
        raise ConfigError(f"the card lacks {', '.join(missing)}: export a checkpoint of train.py")
    policy = copy.deepcopy(policy).eval()  # the caller's may be in training, and stays so
    make_folder(folder)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as name:
        fresh = Path(name)
        write_onnx(policy, fresh / ONNX_FILE)
        full = _full_card(card, (fresh / ONNX_FILE).read_bytes())
        if figures is not None:
            full["metrics"] = measured(figures, full["version"])
        (fresh / CARD_FILE).write_text(_json(full), encoding="utf-8")
        checked = load(fresh)
        difference = parity(policy, checked)
        if not difference <= PARITY:
            raise ConfigError(
                f"the graph's logits differ from PyTorch's by {difference:.1e}, {PARITY:g} is "
                "allowed: export with another version of torch or onnxruntime"
            )
        (fresh / README_FILE).write_text(readme(checked.card), encoding="utf-8")
        # The card last: until it is there, its hash refuses the new graph.
        for file in (ONNX_FILE, README_FILE, CARD_FILE):
            (fresh / file).replace(folder / file)
    return load(folder)


def write_onnx(policy: ConditionedPolicy, path: Path) -> None:
    """The policy without its critic, for any number of rows; it must be in eval mode."""
    with warnings.catch_warnings():
        # The newer exporter needs another package; the older one warns that it is older, and that
        # it leaves some constants as they are.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            _Logits(policy).eval(),  # else the exporter leaves the policy in training mode
            tuple(_inputs(policy, 2, np.random.default_rng(0), (0.0, 1.0)).values()),
            str(path),
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes={name: {0: "n"} for name in (*INPUTS, OUTPUT)},
            opset_version=OPSET,
            dynamo=False,
        )


def parity(policy: ConditionedPolicy, artifact: Artifact) -> float:
    """The largest difference of a logit between ONNX Runtime and PyTorch, over all batches, in the
    terms of PARITY.

    The policy must be in eval mode.
    """
    random = np.random.default_rng(0)
    weights = artifact.card.cost_weight
    return max(
        _difference(
            policy, artifact.session, _inputs(policy, n, random, (weights.min, weights.max))
        )
        for n in PARITY_BATCHES
    )


class _Logits(nn.Module):
    """The policy as the graph has it.

    A policy that does not see embeddings is given them all the same: the exporter would drop an
    input that nothing reads, so the sum of none of its columns is added.
    """

    def __init__(self, policy: ConditionedPolicy) -> None:
        super().__init__()
        self.policy = policy

    def forward(
        self, query: Tensor, state: Tensor, features: Tensor, module: Tensor, cost_weight: Tensor
    ) -> Tensor:
        logits: Tensor = self.policy(query, state, features, module, cost_weight)
        if not self.policy.shape.sees_embeddings:
            nothing = torch.cat([query[:, :0], state[:, :0]], 1)
            logits = logits + nothing.sum(1, keepdim=True)
        return logits.reshape(-1, len(Tier))


def _difference(
    policy: ConditionedPolicy, session: OnnxSession, inputs: Mapping[str, Tensor]
) -> float:
    with torch.inference_mode():
        expected = policy(*inputs.values()).numpy()
    found = session.run([OUTPUT], {name: value.numpy() for name, value in inputs.items()})[OUTPUT]
    return float((np.abs(found - expected) / np.maximum(np.abs(expected), 1.0)).max())


def _inputs(
    policy: ConditionedPolicy,
    n: int,
    random: np.random.Generator,
    cost_weights: tuple[float, float],
) -> dict[str, Tensor]:
    """Random inputs, with features as they are spread in training."""

    def normal(width: int) -> Tensor:
        return torch.from_numpy(random.standard_normal((n, width)).astype(np.float32))

    shape = policy.shape
    return {
        "query": nn.functional.normalize(normal(shape.dimension)),
        "state": nn.functional.normalize(normal(shape.dimension)),
        "features": policy.mean + policy.scale * normal(shape.features),
        "module": torch.arange(n) % len(MODULES),
        "cost_weight": torch.from_numpy(random.uniform(*cost_weights, n).astype(np.float32)),
    }


def _full_card(card: Card, onnx: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(onnx).hexdigest()
    return {
        "format": FORMAT,
        "version": short_version(card["strategy"], sha256),
        "onnx_sha256": sha256,
        "opset": OPSET,
        "modules": list(MODULES),
        **{key: card[key] for key in CARD_KEYS},
    }


def _json(card: Card) -> str:
    try:
        return json.dumps(card, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as exc:
        raise ConfigError(f"the card cannot be written as JSON: {exc}") from exc


if __name__ == "__main__":
    main()
