"""Command line arguments that several commands have, for argparse."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

from training.datasets import DATASETS
from training.rollouts.paths import Path as TierPath
from training.rollouts.paths import parse


def positive(text: str) -> int:
    """A whole number above 0. Raises ArgumentTypeError, which argparse tells with the option."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return number


def cost_weights(text: str) -> tuple[float, ...]:
    """Lambdas with commas. Raises ArgumentTypeError."""
    try:
        weights = tuple(map(float, text.split(",")))
    except ValueError:
        weights = ()
    if not weights or not all(0 <= weight < math.inf for weight in weights):
        raise ArgumentTypeError(f"must be numbers of at least 0 with commas, not {text!r}")
    return weights


def paths(text: str) -> tuple[TierPath, ...]:
    """Paths with commas, such as `LLLLM,LMMMM`. Raises ArgumentTypeError."""
    try:
        return tuple(parse(letters) for letters in text.split(","))
    except ValueError as exc:
        raise ArgumentTypeError(str(exc)) from exc


def add_question_options(parser: ArgumentParser) -> None:
    """Whose questions are walked, which of them, and with what profile."""
    parser.add_argument(
        "--dataset",
        default="locomo",
        metavar="NAME",
        help=f"one of {', '.join(DATASETS)}, or MODULE:CLASS; default: locomo",
    )
    parser.add_argument("--data", type=Path, required=True, help="the dataset's file or folder")
    parser.add_argument(
        "--data-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the dataset (docs/datasets.md); may be repeated",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of questions")
    parser.add_argument(
        "--max-tokens", type=positive, help="retrieval budget; default: the profile's"
    )
    parser.add_argument("--profile", default="small")
