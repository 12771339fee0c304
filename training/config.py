"""How a router is trained: one typed configuration, from a TOML file, the command line, or both.

A field of a table has the table's name in front of it on the command line: `hidden` of `[policy]`
is `--policy-hidden`. Options override the file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from budgetmem.errors import ConfigError
from training.datasets import options_of
from training.policies import PolicyShape
from training.ppo import PPOConfig
from training.reward import PAPER_COST_WEIGHTS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CostWeight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[int, Field(gt=0)]
Settings = Mapping[str, Any]

WHERE = ("outcomes", "validation", "data", "data_options", "out", "checkpoint_every")
"""Fields that do not change what is learned; the content of files is compared by its hash."""


def _known(table: object) -> object:
    """Pydantic drops what a dataclass does not have; a slip of the pen must not pass."""
    names = {each.name for each in fields_of(PPOConfig)}
    if isinstance(table, Mapping) and (unknown := sorted(set(table) - names)):
        raise ValueError(f"unknown: {', '.join(unknown)}")
    return table


def _pairs(table: object) -> object:
    """`name=value,name=value` as a mapping. A value with a comma in it needs a TOML table."""
    return options_of(filter(None, _items(table))) if isinstance(table, str) else table


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class PolicyConfig(_Table):
    """The network, see `training.policies.PolicyShape`."""

    projection: Positive = Field(default=32, description="width of the embeddings' projection")
    hidden: Positive = Field(default=64, description="width of the hidden layers")
    embeddings: bool = Field(default=True, description="whether the policy sees embeddings")
    blind: bool = Field(default=False, description="it sees lambda alone, to be compared with")
    # With dropout an update's first ratios are not 1: it learns with it, but acted without.
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of the embeddings' projection")
    slope: float = Field(default=4.0, gt=0, description="multiplies what lambda does to logits")

    def shape(self, dimension: int, features: int) -> PolicyShape:
        """With the sizes that the data has."""
        return PolicyShape(dimension=dimension, features=features, **self.model_dump())


class TrainConfig(_Table):
    """Everything that a training run depends on.

    Paths are relative to the working directory. Lambdas (`cost_weights`) are drawn for every
    episode: one of the set, or evenly between two of them; a single one is the paper's special
    case, a router for one lambda.
    """

    outcomes: Path = Field(description="recorded outcomes to learn from")
    validation: Path = Field(description="recorded outcomes to choose the best policy by")
    data: Path = Field(description="the dataset's file that they were recorded from")
    data_options: Annotated[Mapping[str, str], BeforeValidator(_pairs)] = Field(
        default={}, description="options of the dataset: name=value, with commas"
    )
    out: Path = Field(description="folder for checkpoint.pt, best.pt and TensorBoard events")
    cost_weights: tuple[CostWeight, ...] = Field(
        default=PAPER_COST_WEIGHTS, min_length=1, description="lambdas, with commas"
    )
    cost_weight_draw: Literal["each", "between"] = Field(
        default="each", description="draw one of the lambdas, or evenly between two of them"
    )
    alignment: bool = Field(
        default=True, description="scale the task reward to the cost reward's spread"
    )
    paper_reward: bool = Field(
        default=False, description="the paper's numbers, see training.reward"
    )
    feature_groups: tuple[str, ...] = Field(
        default=(), description="groups of features that the policy sees; none named: all of them"
    )
    live: bool = Field(default=False, description="walk on a live Triton, see above")
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="of everything that is drawn")
    updates: Positive = Field(default=300, description="PPO updates")
    batch: Positive = Field(default=128, description="episodes of an update")
    evaluate_every: Positive = Field(default=10, description="updates between validations")
    checkpoint_every: Positive = Field(default=10, description="updates between checkpoints")
    licence: str = Field(default="unstated", description="of the trained router, for its card")
    policy: PolicyConfig = PolicyConfig()
    ppo: Annotated[PPOConfig, BeforeValidator(_known)] = PPOConfig()

    @model_validator(mode="after")
    def _two_ends(self) -> TrainConfig:
        low, high = min(self.cost_weights), max(self.cost_weights)
        if self.cost_weight_draw == "between" and (len(self.cost_weights) != 2 or low == high):
            raise ValueError("`cost_weights` must be two different ones to draw between them")
        return self

    @property
    def selection(self) -> tuple[float, ...]:
        """The lambdas over which a policy's reward is averaged to choose the best.

        The paper's seven as far as they lie in the range that is trained on; if fewer than two
        do, the lambdas of the configuration.
        """
        low, high = min(self.cost_weights), max(self.cost_weights)
        inside = tuple(each for each in PAPER_COST_WEIGHTS if low <= each <= high)
        return inside if len(inside) > 1 else tuple(sorted(set(self.cost_weights)))

    def settings(self) -> dict[str, Any]:
        """What the result depends on, JSON-able: all fields but `WHERE`."""
        return self.model_dump(mode="json", exclude=set(WHERE))


def add_options(parser: argparse.ArgumentParser) -> None:
    """An option for every field, and `--config FILE`; `read` takes what was parsed."""
    parser.add_argument("--config", type=Path, help="TOML file with any of the fields below")
    parser.add_argument(
        "--cost-weight",
        metavar="LAMBDA",
        help="one lambda alone, whatever the file says of lambdas",
    )
    for name, kind, default, about in _leaves():
        shown = "required" if default is ... else f"default: {_text(default)}"
        switch = {"action": argparse.BooleanOptionalAction}
        value = {
            "metavar": name.rpartition(".")[2].upper(),
            "type": _items if isinstance(default, tuple) else _value,
        }
        parser.add_argument(
            "--" + name.replace(".", "-").replace("_", "-"),
            dest=name,
            default=argparse.SUPPRESS,
            help=f"{about} ({shown})".strip(),
            **(switch if kind is bool else value),
        )


def read(options: argparse.Namespace) -> TrainConfig:
    """The configuration of a command line that `add_options` described.

    Raises ConfigError naming the file and every field that is wrong.
    """
    values: dict[str, Any] = {} if options.config is None else _toml(options.config)
    for name, value in vars(options).items():
        table, _, leaf = name.rpartition(".")
        if table:
            values[table] = {**_table(values, table), leaf: value}
        elif name in TrainConfig.model_fields:
            values[name] = value
    if options.cost_weight is not None:
        values |= {"cost_weights": (options.cost_weight,), "cost_weight_draw": "each"}
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as exc:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'config'}: {fault['msg']}"
            for fault in exc.errors()
        )
        source = "command line" if options.config is None else f"{options.config}, command line"
        raise ConfigError(f"{source}: {faults}") from exc


def _toml(path: Path) -> dict[str, Any]:
    try:
        return dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: not valid TOML: {exc}") from exc


def _table(values: Settings, name: str) -> Settings:
    held = values.get(name, {})
    if not isinstance(held, Mapping):
        raise ConfigError(f"{name}: must be a table, `[{name}]`")
    return held


def _leaves() -> Iterator[tuple[str, Any, Any, str]]:
    """Name, type, default (`...` for none) and description of every field."""
    for name, field in TrainConfig.model_fields.items():
        default = ... if field.is_required() else field.default
        if isinstance(default, BaseModel):
            for leaf, inner in type(default).model_fields.items():
                yield f"{name}.{leaf}", inner.annotation, inner.default, inner.description or ""
        elif isinstance(default, PPOConfig):
            for each in fields_of(default):
                value = getattr(default, each.name)
                kind = bool if isinstance(value, bool) else None
                yield f"{name}.{each.name}", kind, value, "see training.ppo.PPOConfig"
        else:
            yield name, field.annotation, default, field.description or ""


def _items(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _value(text: str) -> str | None:
    return None if text == "none" else text


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(each if isinstance(each, str) else f"{each:g}" for each in value)
    if isinstance(value, Mapping):
        return ",".join(f"{name}={each}" for name, each in value.items())
    return "none" if value is None else str(value)
