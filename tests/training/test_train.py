import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from budgetmem.errors import ConfigError, InvalidInput
from budgetmem.router_artifact import encoder_sha256
from tests.training import toy_outcomes as toys
from training import checkpoints, splits, train
from training.evaluation import best_constant, constant

QUIET = Console(quiet=True)
ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys, torch
from pathlib import Path
from rich.console import Console
from tests.training import toy_outcomes as toys
from training.train import train
torch.set_num_threads(1)
train(toys.config(Path(sys.argv[1]), updates=60), toys.splits(), Console(quiet=True))
"""


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def weights(out):
    held = checkpoints.load(out / "checkpoint.pt")
    return {**held.policy, **{f"best.{k}": v for k, v in held.best["policy"].items()}}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def spawn(out):
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", SCRIPT, str(out)], cwd=ROOT)


def test_kill_in_the_middle_and_resume_gives_the_same_weights_bit_for_bit(tmp_path):
    unbroken = toys.config(tmp_path / "unbroken", updates=60)
    train.train(unbroken, toys.splits(), QUIET)
    broken = tmp_path / "broken"
    process = spawn(broken)
    while not (broken / "checkpoint.pt").exists() and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    assert process.wait(10) == -signal.SIGKILL
    cut = checkpoints.load(broken / "checkpoint.pt").update
    assert 0 < cut < 60
    assert spawn(broken).wait(60) == 0
    assert same(weights(broken), weights(tmp_path / "unbroken"))
    kept, other = (torch.load(tmp_path / n / "best.pt") for n in ("broken", "unbroken"))
    assert same(kept["policy"], other["policy"])
    assert kept["card"] == other["card"]


@pytest.mark.parametrize("stop", [3, 6, 10])
def test_every_stop_is_as_if_it_had_not_been(tmp_path, monkeypatch, stop):
    data = toys.splits()
    between = {"cost_weights": [0, 0.5], "cost_weight_draw": "between", "ppo": {"minibatch": 4}}
    train.train(toys.config(tmp_path / "a", **between), data, QUIET)
    learn = train.learn

    def stopping(run, *given):
        if run.update == stop:
            raise KeyboardInterrupt
        return learn(run, *given)

    config = toys.config(tmp_path / "b", **between)
    monkeypatch.setattr(train, "learn", stopping)
    with pytest.raises(KeyboardInterrupt):
        train.train(config, data, QUIET)
    monkeypatch.setattr(train, "learn", learn)
    train.train(config, data, QUIET)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_seeds_repeat_and_differ(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train.train(toys.config(tmp_path / name, seed=seed, updates=4), toys.splits(), QUIET)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_training_leaves_the_callers_generators_alone(tmp_path):
    before = torch.get_rng_state()
    train.train(toys.config(tmp_path, updates=2), toys.splits(), QUIET)
    assert torch.equal(before, torch.get_rng_state())


def test_a_checkpoint_of_another_run_is_refused_by_name(tmp_path):
    train.train(toys.config(tmp_path, updates=3), toys.splits(), QUIET)
    held = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(ConfigError, match="alignment: true, here false"):
        train.train(toys.config(tmp_path, updates=3, alignment=False), toys.splits(), QUIET)
    other = replace(toys.splits(), hashes={**toys.splits().hashes, "validation": "xx"})
    with pytest.raises(ConfigError, match='validation: "bb", here "xx"'):
        train.train(toys.config(tmp_path, updates=3), other, QUIET)
    assert (tmp_path / "checkpoint.pt").read_bytes() == held


def test_a_truncated_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    train.train(toys.config(tmp_path, updates=3), toys.splits(), QUIET)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InvalidInput, match="truncated"):
        train.train(toys.config(tmp_path, updates=3), toys.splits(), QUIET)


def test_an_out_that_is_a_file_and_a_checkpoint_that_is_a_folder_are_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigError, match="file: cannot be made a folder"):
        train.train(toys.config(tmp_path / "file"), toys.splits(), QUIET)
    (tmp_path / "out" / "checkpoint.pt").mkdir(parents=True)
    with pytest.raises(InvalidInput, match=r"checkpoint.pt: cannot be read"):
        train.train(toys.config(tmp_path / "out"), toys.splits(), QUIET)


class Losing:
    """Walks all questions but the last."""

    def __init__(self, environment):
        self.environment = environment
        self.questions = environment.questions

    def walk(self, places, cost_weights, choose, random):
        return self.environment.walk(places[:-1], cost_weights[:-1], choose, random)


def test_questions_without_an_episode_are_counted(tmp_path):
    data, config = toys.splits(), toys.config(tmp_path)
    assert train.learn(train.begin(config, data), config, data)["failed"] == 0
    losing = replace(data, rollouts=Losing(data.rollouts))
    assert train.learn(train.begin(config, losing), config, losing)["failed"] == 1


def test_best_is_by_the_whole_reward_over_all_lambdas(tmp_path, monkeypatch):
    data, seen = toys.splits(), []
    evaluate = train.evaluation.evaluate

    def noting(policy, *given, **named):
        found = evaluate(policy, *given, **named)
        state = {name: value.clone() for name, value in policy.state_dict().items()}
        seen.append((np.mean([each.reward for each in found]), state))
        return found

    monkeypatch.setattr(train.evaluation, "evaluate", noting)
    config = toys.config(tmp_path, evaluate_every=1, seed=4, ppo={"learning_rate": 0.1})
    policy = train.train(config, data, QUIET)
    rewards = [reward for reward, _ in seen]
    assert max(rewards) > rewards[-1]
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    assert best["card"]["metrics"]["reward"] == max(rewards)
    assert best["card"]["training"]["updates"] == rewards.index(max(rewards)) + 1
    assert same(best["policy"], seen[rewards.index(max(rewards))][1])
    assert same(best["policy"], policy.state_dict())


def test_best_has_all_that_the_export_needs(tmp_path):
    train.train(toys.config(tmp_path, updates=2), toys.splits(), QUIET)
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    assert set(best) == {"policy", "shape", "card"}
    assert best["shape"]["features"] == len(toys.FEATURES)
    card = json.loads(json.dumps(best["card"], allow_nan=False))
    assert card["strategy"] == "capacity"
    assert card["encoder"] == {
        "name": "minilm-l6-v2",
        "dimension": toys.DIMENSION,
        "sha256": encoder_sha256("minilm-l6-v2"),
    }
    assert card["training"]["max_tokens"] == toys.SETTING["max_tokens"]
    assert card["features"] == list(toys.FEATURES)
    assert card["cost_weight"] == {"min": 0, "max": 0.9}
    assert [each["cost_weight"] for each in card["metrics"]["by_cost_weight"]] == [
        *(0, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    assert str(tmp_path) not in json.dumps(card)


def test_a_policy_learns_which_questions_need_dear_tiers(tmp_path):
    data = toys.splits()
    given = {"cost_weights": [0.3], "updates": 80, "batch": 48}
    config = toys.config(tmp_path, **given, ppo={"learning_rate": 0.01, "minibatch": 16})
    policy = train.train(config, data, QUIET)
    scales = data.yardstick(config)
    found = train.validate(policy, config, data, scales)[0]
    # The best of all constants is not enough: it treats hard and easy questions alike.
    best = best_constant(data.validation, 0.3, scales)
    assert found.reward > constant(data.validation, best, 0.3, scales).reward + 0.03
    assert found.costs[0::2].mean() > 2 * found.costs[1::2].mean()


def test_no_question_comes_twice_before_all_came_once():
    random = np.random.default_rng(0)
    assert sorted(train.draw_places(5, 5, random)) == [0, 1, 2, 3, 4]
    counts = np.bincount(train.draw_places(5, 12, random), minlength=5)
    assert set(counts) == {2, 3}
    assert len(set(train.draw_places(50, 12, random))) == 12


def test_lambdas_are_drawn_from_the_set_or_between(tmp_path):
    random = np.random.default_rng(0)
    config = toys.config(tmp_path, batch=200, cost_weights=[0.1, 0.5])
    assert set(train.draw_cost_weights(config, random).tolist()) == {0.1, 0.5}
    between = train.draw_cost_weights(
        config.model_copy(update={"cost_weight_draw": "between"}), random
    )
    assert 0.1 <= between.min() < 0.15
    assert 0.45 < between.max() <= 0.5


def test_learning_that_diverges_is_an_error(tmp_path):
    config = toys.config(tmp_path, ppo={"learning_rate": 1e30, "adam_epsilon": 1e-30})
    with pytest.raises((ConfigError, InvalidInput)):
        train.train(config, toys.splits(), QUIET)


def test_plain_lines_where_there_is_no_terminal(tmp_path):
    with (tmp_path / "shown").open("w") as file:
        console = Console(file=file, width=300)
        train.train(toys.config(tmp_path / "out"), toys.splits(), console)
    lines = [line for line in (tmp_path / "shown").read_text().splitlines() if "update" in line]
    assert [re.match(r"update \d+ of 12", line)[0] for line in lines] == [
        f"update {n} of 12" for n in (4, 8, 12)
    ]
    assert all(word in lines[0] for word in ("reward", "USD", "low", "high", "s left"))


def test_tensorboard_has_the_scalars_of_every_update_once(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train.train(toys.config(tmp_path), toys.splits(), QUIET)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [each.step for each in events.Scalars("train/reward")] == list(range(1, 13))
    assert [each.step for each in events.Scalars("validation/reward")] == [4, 8, 12]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(splits, "embedded", toys.vectors)
    data = tmp_path / "data.json"
    data.write_text("[]")
    own = {"sha256": splits._sha256(data)}
    toys.write(tmp_path / "train.jsonl", toys.outcome_file(4, **own))
    validation = toys.outcome_file(3, history="h1", split="validation", **own)
    toys.write(tmp_path / "validation.jsonl", validation)
    return tmp_path


def run(files, monkeypatch, *options):
    given = ["--outcomes", files / "train.jsonl", "--validation", files / "validation.jsonl"]
    given += ["--data", files / "data.json", "--out", files / "out", "--updates", 2, *options]
    monkeypatch.setattr(sys, "argv", ["train.py", *map(str, given)])
    train.main()


def test_the_command_trains(files, monkeypatch, capsys):
    run(files, monkeypatch, "--batch", 4)
    assert "validation" in capsys.readouterr().err
    assert (files / "out" / "best.pt").exists()


def rewrite(name, change):
    def apply(files):
        path = files / name
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        lines = change(lines) or lines
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    return apply


def put(where, value):
    def change(lines):
        *way, last = where
        at = lines
        for key in way:
            at = at[key]
        at[last] = value

    return change


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda files: (files / "train.jsonl").unlink(), "cannot be read"),
        (lambda files: (files / "train.jsonl").write_text(""), "is empty"),
        (rewrite("train.jsonl", lambda lines: lines[:1]), "empty split"),
        (rewrite("validation.jsonl", lambda lines: lines[:1]), "empty split"),
        (rewrite("validation.jsonl", put((1, "history"), "h0")), "shares history 'h0'"),
        (rewrite("validation.jsonl", put((1, "question"), "h0-q1")), "shares question 'h0-q1'"),
        (rewrite("validation.jsonl", put((0, "setting", "strategy"), "reasoning")), "strategy:"),
        (rewrite("validation.jsonl", put((0, "setting", "encoder"), "e")), "encoder:"),
        (rewrite("validation.jsonl", put((0, "features"), ["a", "b"])), "features"),
        (
            rewrite("train.jsonl", lambda lines: lines[0]["setting"].clear()),
            "lacks",
        ),
        (rewrite("train.jsonl", put((1, "leaves", "LLLLL", "score"), float("nan"))), "score"),
        (rewrite("train.jsonl", put((1, "leaves", "LLLLL", "score"), 1.5)), "score"),
        (
            rewrite("train.jsonl", put((1, "leaves", "LLLLL", "costs_usd"), [-1.0] * 7)),
            "costs_usd",
        ),
        (
            rewrite("train.jsonl", put((1, "nodes", "", "features"), [0, float("nan")])),
            "a feature that is not finite",
        ),
        (lambda files: (files / "data.json").write_text("{}"), "not the file that was recorded"),
    ],
)
def test_bad_input_is_named(files, monkeypatch, capsys, spoil, named):
    spoil(files)
    with pytest.raises(SystemExit) as stopped:
        run(files, monkeypatch)
    assert stopped.value.code == 1
    assert named in " ".join(capsys.readouterr().err.split())
    assert not (files / "out").exists()


def test_a_lambda_out_of_range_is_named(files, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(files, monkeypatch, "--cost-weight", "-1")
    assert stopped.value.code == 1
    assert "cost_weights.0" in capsys.readouterr().err


def test_the_script_runs_from_the_command_line():
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "training/train.py", "--help"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert "--ppo-learning-rate" in done.stdout
