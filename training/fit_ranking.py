"""Fits the weights of the ranking `lines` (budgetmem/line_ranking.py) to a dataset's evidence.

    python training/fit_ranking.py --data locomo10.json

Maximises the mean log-probability of the evidence lines, among all lines that a search finds, over
the questions of a split; prints the weights as JSON. No LLM is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from budgetmem.backbone import Encoder
from budgetmem.chunking import Unit
from budgetmem.config import Profile, load_profile
from budgetmem.errors import BudgetMemError, ConfigError
from budgetmem.history import Histories
from budgetmem.line_ranking import WEIGHTS, focus, signals
from budgetmem.local_encoder import local_encoder
from budgetmem.ranking import query_words
from budgetmem.retrieval import candidates
from budgetmem.store.base import Hits
from budgetmem.store.sqlite import SqliteStore
from training.datasets import DATASETS, open_dataset
from training.datasets.base import Dataset, Question
from training.rollouts.setting import tenant_of

PENALTY = 1e-4
"""Of the squared weights of the standardised signals."""

STEPS = 200


@dataclass(frozen=True)
class Example:
    """A question: the signals of the lines found for it [lines, signals], and which of them are
    evidence [lines]."""

    signals: torch.Tensor
    evidence: torch.Tensor


def main() -> None:
    """Exit code 1 if the dataset, the profile or its encoder cannot be used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="locomo", help=f"one of {', '.join(DATASETS)}")
    parser.add_argument("--data", type=Path, required=True, help="the dataset's file or folder")
    parser.add_argument("--split", default="train", choices=["train", "validation"])
    parser.add_argument("--profile", default="small", help="whose encoder and chunking are used")
    args = parser.parse_args()
    console = Console(stderr=True)
    try:
        profile = load_profile(args.profile)
        encoder = local_encoder(profile.encoder)
        dataset = open_dataset(args.dataset, args.data)
        found = asyncio.run(_examples(dataset, args.split, encoder, profile, console))
        fitted = fit(found)
    except BudgetMemError as exc:
        console.print(f"error: {exc}", markup=False)
        sys.exit(1)
    print(json.dumps({"questions": len(found), "weights": fitted}, indent=2))


async def _examples(
    dataset: Dataset, split: str, encoder: Encoder, profile: Profile, console: Console
) -> list[Example]:
    questions = list(dataset.questions(split))
    turns, tenant = dataset.histories(), tenant_of(dataset, profile.encoder)
    most = candidates(profile.retrieval.max_tokens)
    found = []
    with tempfile.TemporaryDirectory(prefix="budgetmem-") as folder:
        store = SqliteStore(Path(folder))
        histories = Histories(store, encoder, profile.retrieval)
        for history in sorted({question.history for question in questions}):
            console.print(f"ingesting {history}", markup=False)
            await histories.ingest(tenant, history, turns[history])
        for question in track(questions, "searching", console=console):
            vector = (await encoder.embed([question.text]))[0]
            words = query_words(question.text)
            found.append(
                example(question, store.search(tenant, question.history, vector, words, most))
            )
    return [each for each in found if each.evidence.any()]


def example(question: Question, hits: Hits) -> Example:
    """What a search for the question found."""
    units = list(hits.units.values())
    values = signals(question.text, hits.dense, hits.keyword, units)
    evidence = [_is_evidence(question, focus(unit)) for unit in units]
    return Example(torch.tensor(values), torch.tensor(evidence, dtype=torch.float64))


def _is_evidence(question: Question, unit: Unit) -> bool:
    return any(line.turn_id in question.evidence for line in unit.lines)


def fit(examples: Sequence[Example]) -> dict[str, float]:
    """The weights, by signal. Raises ConfigError if no question's evidence was found."""
    if not examples:
        raise ConfigError("no question has evidence among its lines: nothing to fit")
    scale = torch.cat([each.signals for each in examples]).std(dim=0) + 1e-6
    weights = torch.zeros(len(WEIGHTS), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        misses = [_miss(each, weights / scale) for each in examples]
        value = torch.stack(misses).mean() + PENALTY * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    fitted = (weights / scale).tolist()
    return {name: round(value, 2) for name, value in zip(WEIGHTS, fitted, strict=True)}


def _miss(example: Example, weights: torch.Tensor) -> torch.Tensor:
    """Minus the mean log-probability of the evidence lines."""
    chances = torch.log_softmax(example.signals @ weights, dim=0)
    return -(chances * example.evidence).sum() / example.evidence.sum()


if __name__ == "__main__":
    main()
