"""How much of the evidence retrieval finds: `python -m benchmarks.retrieval --data locomo10.json`.

The share of LoCoMo's gold evidence turns that are among what fits a token budget, for each unit
of retrieval and each ranking, through the library's own ingest, search and selection. `pooled` is
over all evidence turns, `per question` the mean over questions. Category 5 (adversarial) is
dropped, as in the paper; so are questions none of whose evidence exists (they are counted).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.cached_encoder import CachedEncoder
from budgetmem.assets import asset_dir
from budgetmem.backbone import Encoder, TokenCounter
from budgetmem.config import ChunkingProfile, RetrievalProfile
from budgetmem.history import Histories
from budgetmem.local_encoder import LocalEncoder
from budgetmem.ranking import query_words
from budgetmem.retrieval import RANKINGS, candidates, fill, order
from budgetmem.store.base import Hits
from budgetmem.store.sqlite import SqliteStore
from budgetmem.types import Turn
from training.datasets.base import Dataset, Question
from training.datasets.locomo import SPLITS, LoCoMo

UNITS: Mapping[str, ChunkingProfile] = {
    "windows": ChunkingProfile(),
    "pack256": ChunkingProfile(unit="pack"),
    "pack128": ChunkingProfile(unit="pack", max_tokens=128),
    "turns": ChunkingProfile(neighbours=0),
    "paper": ChunkingProfile(unit="pack", form="said"),
}
_TENANT = "benchmark"


@dataclass(frozen=True)
class Conversation:
    """One conversation; `unresolved` are evidence entries that name no turn."""

    name: str
    turns: Sequence[Turn]
    questions: tuple[Question, ...]
    without_evidence: int
    unresolved: tuple[str, ...]


@dataclass
class Tally:
    """Hits so far, pooled and per question."""

    found: int = 0
    wanted: int = 0
    shares: list[float] = field(default_factory=list)

    def add(self, question: Question, turn_ids: set[str]) -> None:
        hits = sum(name in turn_ids for name in question.evidence)
        self.found += hits
        self.wanted += len(question.evidence)
        self.shares.append(hits / len(question.evidence))


@dataclass(frozen=True)
class Row:
    """One line of the result."""

    units: str
    ranking: str
    budget: int
    pooled: float
    per_question: float


Key = tuple[str, str, int]


def load(dataset: Dataset, splits: Sequence[str]) -> list[Conversation]:
    """The conversations of some splits, with those questions whose evidence exists."""
    turns = dataset.histories()
    return [
        _conversation(name, turns[name], [q for q in dataset.questions(split) if q.history == name])
        for split in splits
        for name in dataset.splits[split]
    ]


def _conversation(name: str, turns: Sequence[Turn], questions: Sequence[Question]) -> Conversation:
    known = {turn.id for turn in turns}
    resolved = [
        replace(question, evidence=tuple(id_ for id_ in question.evidence if id_ in known))
        for question in questions
    ]
    answerable = tuple(question for question in resolved if question.evidence)
    return Conversation(
        name=name,
        turns=turns,
        questions=answerable,
        without_evidence=len(resolved) - len(answerable),
        unresolved=tuple(id_ for q in questions for id_ in q.evidence if id_ not in known),
    )


async def measure(
    conversations: Sequence[Conversation],
    encoder: Encoder,
    *,
    units: Sequence[str],
    rankings: Sequence[str],
    budgets: Sequence[int],
    progress: Progress,
) -> list[Row]:
    """Every combination, in the order given."""
    tallies = {(u, r, b): Tally() for u in units for r in rankings for b in budgets}
    questions = sum(len(c.questions) for c in conversations)
    most = candidates(max(budgets))
    bar = progress.add_task("questions", total=questions * len(units))
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder))
        for name in units:
            profile = RetrievalProfile(chunking=UNITS[name])
            histories = Histories(store, encoder, profile)
            mine = {key: tally for key, tally in tallies.items() if key[0] == name}
            for talk in conversations:
                await histories.ingest(name, talk.name, talk.turns)
                for question in talk.questions:
                    vector = (await encoder.embed([question.text]))[0]
                    words = query_words(question.text)
                    hits = store.search(name, talk.name, vector, words, most)
                    _count(hits, question, profile.rrf_constant, encoder.tokens, mine)
                    progress.advance(bar)
    return [
        Row(*key, tally.found / tally.wanted, sum(tally.shares) / len(tally.shares))
        for key, tally in tallies.items()
    ]


def _count(
    hits: Hits,
    question: Question,
    constant: int,
    tokens: TokenCounter,
    tallies: Mapping[Key, Tally],
) -> None:
    """What Histories.retrieve makes of a search, for all rankings and budgets."""
    for (_, ranking, budget), tally in tallies.items():
        ranked = order(question.text, hits, ranking, constant)
        chunks = fill(ranked, hits.sessions, budget, tokens)
        tally.add(question, {name for chunk in chunks for name in chunk.turn_ids})


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _report(
    data: Path, encoder: str, model: str, talks: Sequence[Conversation], rows: Sequence[Row]
) -> dict[str, Any]:
    return {
        "dataset": "locomo",
        "data_sha256": _sha256(data),
        "conversations": [talk.name for talk in talks],
        "questions": sum(len(talk.questions) for talk in talks),
        "evidence_turns": sum(len(q.evidence) for talk in talks for q in talk.questions),
        "questions_without_evidence": sum(talk.without_evidence for talk in talks),
        "unresolved_evidence": [f"{t.name} {name}" for t in talks for name in t.unresolved],
        "encoder": encoder,
        "model_sha256": model,
        "versions": {
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            **{name: version(name) for name in ("numpy", "onnxruntime", "tokenizers")},
        },
        "rows": [asdict(row) for row in rows],
    }


def _table(report: Mapping[str, Any]) -> Table:
    table = Table(
        "units",
        "ranking",
        "tokens",
        "pooled",
        "per question",
        title=f"LoCoMo, {report['questions']} questions, {report['evidence_turns']} evidence turns",
    )
    for row in report["rows"]:
        shares = (f"{row['pooled']:.3f}", f"{row['per_question']:.3f}")
        table.add_row(row["units"], row["ranking"], str(row["budget"]), *shares)
    return table


def main(
    *,
    data: Annotated[Path, typer.Option(help="The dataset's file.", exists=True)],
    dataset: Annotated[str, typer.Option(help="Only `locomo` has evidence by turn.")] = "locomo",
    split: Annotated[str, typer.Option(help="Of train, validation, test.")] = "train,validation",
    units: Annotated[str, typer.Option(help=f"Of {', '.join(UNITS)}.")] = "windows",
    rankings: Annotated[str, typer.Option(help=f"Of {', '.join(RANKINGS)}.")] = "lines",
    budgets: Annotated[str, typer.Option(help="Token budgets.")] = "400,800,1300",
    encoder: Annotated[
        Path | None, typer.Option(help="Folder with model.onnx and tokenizer.json.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Where embeddings are kept.")] = Path("build"),
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Measures the share of gold evidence that retrieval brings into a token budget."""
    if dataset != "locomo":
        raise typer.BadParameter(f"unknown dataset {dataset!r}", param_hint="--dataset")
    folder = encoder or asset_dir("minilm-l6-v2")
    model = _sha256(folder / "model.onnx")
    cached = CachedEncoder(LocalEncoder(folder), model, cache / "embeddings.db")
    chosen_units = _choices(units, UNITS, "--units")
    chosen_rankings = _choices(rankings, RANKINGS, "--rankings")
    talks = load(LoCoMo(data), _choices(split, SPLITS, "--split"))
    started = time.perf_counter()
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        rows = asyncio.run(
            measure(
                talks,
                cached,
                units=chosen_units,
                rankings=chosen_rankings,
                budgets=[int(budget) for budget in budgets.split(",")],
                progress=progress,
            )
        )
    report = _report(data, cached.name, model, talks, rows)
    report["seconds"] = round(time.perf_counter() - started, 1)
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        Console().print(_table(report))


def _choices(text: str, known: Mapping[str, object], option: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r}: use {', '.join(known)}", param_hint=option)
    return names


if __name__ == "__main__":
    typer.run(main)
