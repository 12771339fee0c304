import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from budgetmem.errors import ConfigError
from budgetmem.features import NAMES
from budgetmem.router_artifact import encoder_sha256, load
from budgetmem.router_frontier import frontier_of
from tests.training.reporting.toy_figures import toy_figures
from training import export_onnx
from training.export_onnx import OPSET, PARITY, export, parity, read_checkpoint
from training.policies import ConditionedPolicy, PolicyShape
from training.reporting.figures import Figures
from training.reporting.trained import Trained

SHAPE = PolicyShape(dimension=6, features=5, projection=4, hidden=8)
CARD = {
    "strategy": "reasoning",
    "profile": "small",
    "encoder": {
        "name": "minilm-l6-v2",
        "dimension": 6,
        "sha256": encoder_sha256("minilm-l6-v2"),
    },
    "features": list(NAMES[:5]),
    "cost_weight": {"min": 0.0, "max": 0.9},
    "training": {"dataset": "LoCoMo", "questions": 60, "config": {"ppo": {"clip": 0.2}}},
    "metrics": {"score": 0.41234567, "note": "a|b\nc"},
    "licence": "Apache-2.0",
}


def policy(shape: PolicyShape = SHAPE, seed: int = 0) -> ConditionedPolicy:
    torch.manual_seed(seed)
    made = ConditionedPolicy(shape)
    made.standardise(3 + 2 * torch.randn(50, shape.features))
    for layer in (made.base, made.steps):  # as after training: the logits differ by states
        torch.nn.init.normal_(layer.weight)
    return made


@pytest.mark.parametrize("sight", [{}, {"embeddings": False}, {"blind": True}])
@pytest.mark.parametrize("n", [1, 3, 300])
def test_the_graph_answers_as_pytorch_does(tmp_path, sight, n):
    made = policy(replace(SHAPE, **sight)).eval()
    artifact = export(made, CARD, tmp_path)
    random = np.random.default_rng(n)
    inputs = {
        "query": random.normal(size=(n, 6)),
        "state": random.normal(size=(n, 6)),
        "features": random.normal(3, 20, size=(n, 5)),
        "module": random.integers(0, 5, n),
        "cost_weight": random.uniform(0, 0.9, n),
    }
    feeds = {k: v if k == "module" else v.astype(np.float32) for k, v in inputs.items()}
    with torch.inference_mode():
        expected = made(*map(torch.from_numpy, feeds.values())).numpy()
    found = artifact.session.run(["logits"], feeds)["logits"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=PARITY)
    assert np.ptp(expected) > 0.1


def test_the_folder_is_what_a_server_loads(tmp_path):
    export(policy(), CARD, tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    assert {file.name for file in folder.iterdir()} == {"router.onnx", "router.json", "README.md"}
    card = load(folder).card
    assert (card.opset, card.strategy, card.licence) == (OPSET, "reasoning", "Apache-2.0")
    assert card.version == f"reasoning-{card.onnx_sha256[:8]}"
    assert card.training["questions"] == 60


def test_the_card_tells_what_the_router_came_to_when_it_ran(tmp_path):
    version = export(policy(), CARD, tmp_path).card.version
    figures = toy_figures(arms=("LLLLL", "router@0", "router@0.5"))
    routers = {"router": [Trained(version, (0.0, 0.3)), Trained("another", (0.5, 0.5))]}
    ran = replace(figures, head=replace(figures.head, routers=routers))
    card = export(policy(), CARD, tmp_path, ran).card
    assert card.version == version
    found = ran.found["router@0"]
    (row,) = card.metrics["by_cost_weight"]
    assert (row["cost_weight"], row["questions"]) == (0.0, len(found))
    assert row["score"]["mean"] == pytest.approx(np.mean([each.score for each in found]))
    assert row["cost_usd"]["mean"] == pytest.approx(np.mean([e.costs_usd.total for e in found]))
    taken = [each.tiers[0] for each in found]
    assert row["tiers"]["filter"]["low"] == pytest.approx(taken.count("L") / len(taken))
    assert frontier_of(card).questions == len(ran.head.questions)
    assert "live Triton" in (tmp_path / "README.md").read_text()


def test_the_card_counts_what_failed(tmp_path):
    version = export(policy(), CARD, tmp_path).card.version
    figures = toy_figures(arms=("router@0", "router@0.5"))
    routers = {"router": [Trained(version, (0.0, 0.5))]}
    some = {"router@0": figures.found["router@0"][1:], "router@0.5": []}
    ran = Figures(replace(figures.head, routers=routers), some)
    whole, nothing = export(policy(), CARD, tmp_path, ran).card.metrics["by_cost_weight"]
    assert whole["questions"] == nothing["questions"] == 8
    answered = sum(each.score for each in some["router@0"])
    assert whole["score"]["mean"] == pytest.approx(answered / 8)
    assert nothing["score"]["mean"] == 0.0


def test_figures_of_another_router_are_refused(tmp_path):
    version = export(policy(), CARD, tmp_path).card.version
    with pytest.raises(ConfigError, match=f"no results of the router {version}"):
        export(policy(), CARD, tmp_path, toy_figures())
    assert load(tmp_path).card.metrics == CARD["metrics"]


def test_the_readme_tells_the_card(tmp_path):
    version = export(policy(), CARD, tmp_path).card.version
    text = (tmp_path / "README.md").read_text()
    for part in (
        f"# Router `{version}`",
        f"SHA-256 of its model `{CARD['encoder']['sha256']}`",
        "| questions | 60 |",
        "| config.ppo.clip | 0.2 |",
        "| score | 0.4123 |",
        "| note | a\\|b c |",
        "from 0 to 0.9",
        "- `question.words`",
        "## Licence\n\nApache-2.0",
    ):
        assert part in text


def test_the_readme_has_a_row_for_each_lambda(tmp_path):
    interval = {"mean": 0.5, "low": 0.25, "high": 0.75}
    tiers = {"filter": {"low": 0.25, "mid": 0.75, "high": 0.0}, "entity": {"low": 1.0, "mid": 0.0}}
    result = {
        "name": "policy",
        "cost_weight": 0.3,
        "score": interval,
        "cost_usd": {"mean": 4.654e-6, "low": 0.0, "high": 1.0},
        "tiers": tiers,
    }
    export(policy(), {**CARD, "metrics": {"by_cost_weight": [result]}}, tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "| lambda | score (95%) | 1e-6 USD | filter L/M/H, % | entity L/M/H, % |" in text
    assert "| 0.3 | 0.500 (0.250 to 0.750) | 4.65 | 25/75/0 | 100/0 |" in text
    assert "by_cost_weight" not in text


def test_parity_is_checked_without_dropout(tmp_path):
    made = policy(replace(SHAPE, dropout=0.9)).eval()
    export_onnx.write_onnx(made, tmp_path / "router.onnx")
    assert not any(module.training for module in made.modules())


def test_a_policy_in_training_stays_so_and_dropout_is_not_exported(tmp_path):
    made = policy(replace(SHAPE, dropout=0.9)).train()
    artifact = export(made, CARD, tmp_path)
    assert made.training
    assert parity(made.eval(), artifact) <= PARITY


def test_the_same_policy_has_the_same_version(tmp_path):
    one, again, other = (
        export(policy(seed=seed), CARD, tmp_path / name)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert one.card.version == again.card.version != other.card.version


@pytest.mark.parametrize(
    "harm", ["parity", "weights", "features", "encoder", "cost_weight", "key", "json"]
)
def test_what_could_not_serve_leaves_the_old_router(tmp_path, monkeypatch, harm):
    before = export(policy(), CARD, tmp_path).card
    made, card = policy(seed=1), dict(CARD)
    if harm == "parity":
        monkeypatch.setattr(export_onnx, "parity", lambda policy, artifact: float("nan"))
    if harm == "weights":
        with torch.no_grad():
            made.trunk[0].weight[0, 0] = torch.nan
    if harm == "features":
        card["features"] = list(NAMES[:4])
    if harm == "encoder":
        card["encoder"] = {"name": "minilm-l6-v2", "dimension": 6}
    if harm == "cost_weight":
        card["cost_weight"] = {"min": 1, "max": 0}
    if harm == "key":
        del card["licence"]
    if harm == "json":
        card["metrics"] = {"score": float("nan")}
    messages = {
        "parity": "differ from PyTorch's by nan",
        "weights": "not finite",
        "features": r"\[n, 5\], but by its card",
        "encoder": "encoder.sha256: Field required",
        "cost_weight": "`min` is above `max`",
        "key": "lacks licence",
        "json": "cannot be written as JSON",
    }
    with pytest.raises(ConfigError, match=messages[harm]):
        export(made, card, tmp_path)
    assert load(tmp_path).card == before
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "router").write_text("a file")
    with pytest.raises(ConfigError, match="router: cannot be made a folder"):
        export(policy(), CARD, tmp_path / "router")


def test_parity_sees_another_policy(tmp_path):
    artifact = export(policy(), CARD, tmp_path)
    assert parity(policy(seed=1).eval(), artifact) > 0.01


def save(path: Path, **changes: object) -> Path:
    content = {"policy": policy().state_dict(), "shape": asdict(SHAPE), "card": CARD} | changes
    torch.save({name: value for name, value in content.items() if value is not None}, path)
    return path


def test_a_checkpoint_is_read(tmp_path):
    made, card = read_checkpoint(save(tmp_path / "best.pt"))
    assert card == CARD
    assert made.shape == SHAPE
    for one, other in zip(made.parameters(), policy().parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.5, 0.9, 0.999])
def test_truncated_checkpoints(tmp_path, share):
    content = save(tmp_path / "best.pt").read_bytes()
    (tmp_path / "best.pt").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ConfigError, match=r"best.pt: not a checkpoint, or cut off"):
        read_checkpoint(tmp_path / "best.pt")


def test_other_files(tmp_path):
    with pytest.raises(ConfigError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "nothing.pt")
    with pytest.raises(ConfigError, match="no such checkpoint"):
        read_checkpoint(tmp_path)
    (tmp_path / "text.pt").write_text("hello, I am text")
    with pytest.raises(ConfigError, match="not a checkpoint"):
        read_checkpoint(tmp_path / "text.pt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"card": None}, "has no policy, shape, card: name best.pt"),
        ({"shape": [1, 2]}, "has no policy, shape, card"),
        ({"shape": {**asdict(SHAPE), "hidden": 9}}, "weights are of another policy"),
        ({"shape": {**asdict(SHAPE), "depth": 3}}, "weights are of another policy"),
        ({"policy": {}}, "weights are of another policy"),
    ],
)
def test_checkpoints_of_something_else(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        read_checkpoint(save(tmp_path / "best.pt", **changes))


def test_a_damaged_checkpoint(tmp_path):
    content = bytearray(save(tmp_path / "best.pt").read_bytes())
    content[: len(content) // 2] = bytes(len(content) // 2)
    (tmp_path / "best.pt").write_bytes(content)
    with pytest.raises(ConfigError, match=r"best.pt: not a checkpoint, or cut off"):
        read_checkpoint(tmp_path / "best.pt")


def test_a_checkpoint_runs_no_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"policy": Trap()}, tmp_path / "best.pt")
    with pytest.raises(ConfigError, match="not a checkpoint"):
        read_checkpoint(tmp_path / "best.pt")
    assert not (tmp_path / "sprung").exists()


def test_the_command(tmp_path):
    def run(checkpoint: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "training/export_onnx.py", checkpoint, tmp_path / "router"]
        root = Path(__file__).parents[2]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    done = run(save(tmp_path / "best.pt"))
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "router").card.version in done.stderr
    failed = run(tmp_path / "nothing.pt")
    assert failed.returncode == 1
    assert "error: " in failed.stderr
    assert "Traceback" not in failed.stderr
