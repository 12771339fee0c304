"""Trains a router by PPO, on recorded outcomes without a single call of a model, or live.

    python training/train.py --outcomes train.jsonl --validation validation.jsonl \\
        --data locomo10.json --out runs/capacity

One policy learns every lambda; `--cost-weight 0.3` trains one for that lambda alone, as the paper
does, and `--sweep` seven of those and the conditioned one. `--live` walks the training questions by
the pipeline itself, on a live Triton, wherever the policy goes; what models replied is kept, and
asked once. OUT/best.pt is what training/export_onnx.py reads: the policy with the best reward, cost
included, on the validation outcomes. The same command goes on where a run was cut off, and ends
with the same weights; a live one does if the models reply to a prompt as they did.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from budgetmem.errors import ConfigError
from budgetmem.router_artifact import encoder_sha256
from budgetmem.tiers import Tier
from training import checkpoints, evaluation
from training.checkpoints import Checkpoint
from training.commands import ended_by_exit_code
from training.config import TrainConfig, add_options, read
from training.evaluation import Walked
from training.models import add_live_options, live_options
from training.policies import ConditionedPolicy, PolicyShape
from training.ppo import PPO, Sampler, behaviour
from training.progress import Progress, table
from training.reward import Reward
from training.rollouts.live import live
from training.splits import Splits, read_splits
from training.sweep import sweep

CHECKPOINT, BEST = "checkpoint.pt", "best.pt"

TOLD_APART = (
    *("strategy", "profile", "encoder"),
    *("engines", "templates", "contexts", "encoder_max_tokens"),
)
"""Of the recording's setting, what a router's card has elsewhere, or not at all."""


def main() -> None:
    """Trains to the end. Exit code 1 for bad input, 130 if it was stopped."""
    options = _options()
    console = Console(stderr=True)
    # The networks are small: more threads cost more than they bring, and change the sums.
    torch.set_num_threads(1)
    with ended_by_exit_code(console), ExitStack() as stack:
        config = read(options)
        splits = read_splits(config)
        if config.live:
            rollouts = stack.enter_context(live(live_options(options), splits))
            splits = replace(splits, rollouts=rollouts)
        run_all(config, splits, console, whole_sweep=options.sweep)


def run_all(config: TrainConfig, splits: Splits, console: Console, *, whole_sweep: bool) -> None:
    """Trains what was asked for, and shows how it does on the validation questions."""
    if whole_sweep:
        sweep(config, splits, console, train)
        return
    policy = train(config, splits, console)
    found = validate(policy, config, splits, splits.yardstick(config))
    console.print(table("validation", found))


def train(config: TrainConfig, splits: Splits, console: Console) -> ConditionedPolicy:
    """Trains, from the last checkpoint on if there is one, and gives the best policy.

    Raises ConfigError for a checkpoint of another run, if `config.out` cannot be a folder or if
    learning diverges, InvalidInput for a damaged checkpoint, BackboneError if too many live walks
    fail.
    """
    checkpoints.make_folder(config.out)
    run = begin(config, splits)
    kept = config.out / CHECKPOINT
    if kept.exists():
        restore(run, config, splits, checkpoints.load(kept))
        console.print(f"{config.out.name}: goes on after update {run.update}", markup=False)
    scales = splits.yardstick(config)
    with Progress(console, config.out, config.updates, run.update) as progress:
        while run.update < config.updates:
            metrics = learn(run, config, splits)
            progress.learned(run.update, metrics)
            last = run.update == config.updates
            if last or run.update % config.evaluate_every == 0:
                found = validate(run.policy, config, splits, scales)
                progress.validated(run.update, found, keep_if_best(run, config, splits, found))
            if last or run.update % config.checkpoint_every == 0:
                checkpoints.save(kept, snapshot(run, config, splits))
    return load_policy(run.best)


@dataclass
class Run:
    """What changes from update to update. `best` is what best.pt holds, empty at first."""

    policy: ConditionedPolicy
    ppo: PPO
    reward: Reward
    random: np.random.Generator
    update: int
    best: Mapping[str, Any]


def begin(config: TrainConfig, splits: Splits) -> Run:
    """A run before its first update; everything drawn comes from the seed."""
    shape = config.policy.shape(splits.training.dimension, len(splits.features))
    policy = new_policy(shape, config.seed)
    policy.standardise(splits.training.features)
    return Run(
        policy=policy,
        ppo=PPO(policy, config.ppo, torch.Generator().manual_seed(config.seed)),
        reward=Reward(alignment=config.alignment, paper=config.paper_reward),
        random=np.random.default_rng(config.seed),
        update=0,
        best={},
    )


def new_policy(shape: PolicyShape, seed: int) -> ConditionedPolicy:
    """A policy with fresh weights. Layers draw from torch's own generator: it is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ConditionedPolicy(shape)


def learn(run: Run, config: TrainConfig, splits: Splits) -> dict[str, float]:
    """One update: walks a batch of questions, rewards the walks, learns from them.

    Gives the metrics of `PPO.learn`, means over the episodes, and `failed`: how many questions of
    the batch have no episode.
    """
    rollouts = splits.rollouts
    places = draw_places(len(rollouts.questions), config.batch, run.random)
    cost_weights = draw_cost_weights(config, run.random)
    choose = Sampler(run.policy, run.ppo.generator)
    episodes = rollouts.walk(places, cost_weights, choose, run.random)
    rewards = run.reward.rewards(episodes.scores, episodes.costs, episodes.cost_weights)
    log_probs, values = behaviour(run.policy, episodes)
    metrics = run.ppo.update(episodes, log_probs, values, torch.from_numpy(rewards))
    run.update += 1
    if not all(map(math.isfinite, metrics.values())):
        raise ConfigError(f"update {run.update} diverged: try a smaller --ppo-learning-rate")
    taken = {tier: float((episodes.tiers == tier).float().mean()) for tier in Tier}
    return {
        "reward": float(rewards.mean()),
        "score": float(episodes.scores.mean()),
        "cost_usd": float(episodes.costs.mean()),
        "failed": float(len(places) - len(episodes.scores)),
        **{f"tier/{tier.label}": share for tier, share in taken.items()},
        **metrics,
    }


def draw_places(count: int, batch: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Places of `batch` questions out of `count`: none comes twice before all came once."""
    rounds = [random.permutation(count) for _ in range(math.ceil(batch / count))]
    places: NDArray[np.int64] = np.concatenate(rounds)[:batch]
    return places


def draw_cost_weights(config: TrainConfig, random: np.random.Generator) -> NDArray[np.float64]:
    """A lambda for each episode of a batch."""
    known = config.cost_weights
    if config.cost_weight_draw == "between":
        return random.uniform(min(known), max(known), config.batch)
    return random.choice(np.array(known, dtype=np.float64), config.batch)


def validate(
    policy: ConditionedPolicy, config: TrainConfig, splits: Splits, scales: Reward
) -> list[Walked]:
    """The policy on the validation questions, at every lambda of `config.selection`."""
    return evaluation.evaluate(policy, splits.validation, config.selection, scales)


def keep_if_best(run: Run, config: TrainConfig, splits: Splits, found: Sequence[Walked]) -> bool:
    """Writes best.pt if the mean reward over the lambdas is above all before; says whether."""
    reward = float(np.mean([each.reward for each in found]))
    if run.best and reward <= run.best["card"]["metrics"]["reward"]:
        return False
    run.best = {
        "policy": {name: value.clone() for name, value in run.policy.state_dict().items()},
        "shape": asdict(run.policy.shape),
        "card": card(run, config, splits, found, reward),
    }
    checkpoints.save_torch(config.out / BEST, run.best)
    return True


def card(
    run: Run, config: TrainConfig, splits: Splits, found: Sequence[Walked], reward: float
) -> dict[str, Any]:
    """What router.json says of the router. `metrics` are of the validation questions."""
    setting = splits.setting
    return {
        "strategy": setting["strategy"],
        "profile": setting["profile"],
        "encoder": {
            "name": setting["encoder"],
            "dimension": splits.training.dimension,
            "sha256": encoder_sha256(setting["encoder"]),
        },
        "features": list(splits.features),
        "cost_weight": {"min": min(config.cost_weights), "max": max(config.cost_weights)},
        "training": {
            **{name: value for name, value in setting.items() if name not in TOLD_APART},
            "outcomes_sha256": splits.hashes["outcomes"],
            "questions": len(splits.training.questions),
            "seed": config.seed,
            "updates": run.update,
            "config": config.settings(),
        },
        "metrics": {
            "source": "estimates on the validation questions, by which the weights were chosen",
            "recorded": float(np.mean([each.recorded for each in found])),
            "questions": len(splits.validation.questions),
            "reward": reward,
            "by_cost_weight": [each.report() for each in found],
        },
        "licence": config.licence,
    }


def load_policy(best: Mapping[str, Any]) -> ConditionedPolicy:
    """The policy of best.pt, in evaluation mode."""
    policy = new_policy(PolicyShape(**best["shape"]), seed=0)
    policy.load_state_dict(best["policy"])
    policy.eval()
    return policy


def snapshot(run: Run, config: TrainConfig, splits: Splits) -> Checkpoint:
    """Everything that `restore` needs to go on exactly here."""
    return Checkpoint(
        update=run.update,
        policy=run.policy.state_dict(),
        ppo=run.ppo.state_dict(),
        reward=run.reward.state_dict(),
        random=run.random.bit_generator.state,
        best=run.best,
        settings=config.settings(),
        data=splits.hashes,
    )


def restore(run: Run, config: TrainConfig, splits: Splits, held: Checkpoint) -> None:
    """Takes a run to where a checkpoint was made. Raises ConfigError if it is of another run."""
    checkpoints.check_same_run(held, config.settings(), splits.hashes)
    run.policy.load_state_dict(held.policy)
    run.ppo.load_state_dict(held.ppo)
    run.reward.load_state_dict(held.reward)
    run.random.bit_generator.state = held.random
    run.update, run.best = held.update, held.best
    if run.best:
        # It may have been deleted, or be newer than the checkpoint.
        checkpoints.save_torch(config.out / BEST, run.best)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sweep", action="store_true", help="seven single lambdas and all of them: OUT/sweep.json"
    )
    add_live_options(parser)
    add_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
