import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.errors import ConfigError
from training.config import add_options, read
from training.differences import differences
from training.reward import PAPER_COST_WEIGHTS

FILES = ["--outcomes", "a", "--validation", "b", "--data", "c", "--out", "d"]


def parsed(*options: str):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return read(parser.parse_args([*FILES, *options]))


def toml(tmp_path, text: str) -> str:
    path = tmp_path / "train.toml"
    path.write_text(text)
    return str(path)


def test_defaults_are_the_papers_lambdas():
    config = parsed()
    assert config.cost_weights == PAPER_COST_WEIGHTS == config.selection
    assert config.alignment
    assert config.ppo.learning_rate == 3e-4


def test_options_override_the_file(tmp_path):
    file = toml(tmp_path, "updates = 7\nbatch = 5\n[ppo]\nclip = 0.1\nepochs = 2\n")
    config = parsed("--config", file, "--batch", "6", "--ppo-epochs", "3", "--policy-hidden", "9")
    assert (config.updates, config.batch) == (7, 6)
    assert (config.ppo.clip, config.ppo.epochs, config.policy.hidden) == (0.1, 3, 9)


def test_groups_of_features_are_named_with_commas():
    assert parsed().feature_groups == ()
    assert parsed("--feature-groups", "question,kept").feature_groups == ("question", "kept")


def test_options_of_the_dataset_are_pairs_or_a_table(tmp_path):
    file = toml(tmp_path, '[data_options]\nquestions = "a, b.json"\nsplits = "c"\n')
    assert parsed().data_options == {}
    assert parsed("--config", file).data_options == {"questions": "a, b.json", "splits": "c"}
    given_ = parsed("--config", file, "--data-options", "splits=d=e, oracle=yes")
    assert given_.data_options == {"splits": "d=e", "oracle": "yes"}
    assert "data_options" not in given_.settings()
    assert parsed("--config", file, "--data-options", "").data_options == {}


def test_ratios_start_at_one_unless_dropout_is_asked_for():
    assert parsed().policy.dropout == 0
    assert parsed("--policy-dropout", "0.1").policy.dropout == 0.1


def test_one_lambda_alone_overrides_what_the_file_says_of_lambdas(tmp_path):
    file = toml(tmp_path, 'cost_weights = [0.1, 0.5]\ncost_weight_draw = "between"\n')
    config = parsed("--config", file, "--cost-weight", "0.3")
    assert config.cost_weights == (0.3,) == config.selection
    assert config.cost_weight_draw == "each"


def test_switches_lists_and_none():
    config = parsed("--no-alignment", "--cost-weights", "0, 0.25", "--ppo-minibatch", "none")
    assert not config.alignment
    assert config.cost_weights == (0.0, 0.25)
    assert config.ppo.minibatch is None


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("0,0.5", (0.0, 0.05, 0.1, 0.3, 0.5)),
        ("0.31,0.45", (0.31, 0.45)),
        ("0.3,0.3", (0.3,)),
        ("0.2,0.4", (0.2, 0.4)),
    ],
)
def test_selection_is_over_the_papers_lambdas_in_the_range(weights, expected):
    assert parsed("--cost-weights", weights).selection == expected


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--cost-weight", "-0.1"], "cost_weights.0"),
        (["--cost-weight", "nan"], "cost_weights.0"),
        (["--cost-weights", "0,inf"], "cost_weights.1"),
        (["--cost-weights", ""], "cost_weights.0"),
        (["--cost-weight-draw", "between"], "cost_weights"),
        (["--updates", "0"], "updates"),
        (["--seed", "-1"], "seed"),
        (["--ppo-clip", "x"], "ppo.clip"),
        (["--ppo-clip", "-1"], "clip = -1"),
        (["--policy-dropout", "1"], "policy.dropout"),
        (["--data-options", "splits"], "'splits' is not of the form NAME=VALUE"),
        (["--data-options", "a=b,a=c"], "a comes twice"),
    ],
)
def test_bad_values_are_named(options, named):
    with pytest.raises(ConfigError, match=named):
        parsed(*options)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("update = 3", "update"),
        ("[ppo]\nclipp = 3", "clipp"),
        ("[policy]\nsize = 3", "size"),
        ("policy = 3", "policy"),
        ("[data_options]\nsplits = 3", "data_options.splits"),
        ("updates = ", "not valid TOML"),
    ],
)
def test_slips_in_the_file_are_named(tmp_path, text, named):
    with pytest.raises(ConfigError, match=named):
        parsed("--config", toml(tmp_path, text), "--policy-hidden", "4")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        parsed("--config", str(tmp_path / "none.toml"))


def test_help_shows_defaults(capsys):
    parser = argparse.ArgumentParser()
    add_options(parser)
    parser.print_help()
    shown = " ".join(capsys.readouterr().out.split())
    assert "(default: 0,0.05,0.1,0.3,0.5,0.7,0.9)" in shown
    assert "(default: 0.0003)" in shown
    assert "(required)" in shown


def test_settings_hold_no_paths():
    assert "/" not in str(parsed("--out", "/somewhere").settings())


TREES = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner), max_leaves=6
).filter(lambda tree: isinstance(tree, dict))


@given(TREES, TREES)
def test_differences_are_none_for_equals_only(one, other):
    assert bool(differences(one, other)) == (one != other)


def test_differences_are_named():
    held = {"seed": 1, "ppo": {"clip": 0.2, "epochs": 4}}
    given_ = {"seed": 1, "ppo": {"clip": 0.1, "epochs": 4}}
    assert differences(held, given_) == ["ppo.clip: 0.2, here 0.1"]
