"""The vectors that recorded outcomes refer to: made anew from the dataset, by the local encoder.

A file of outcomes holds no text and no vectors; it names questions and chunks. Ingesting the same
histories and asking the same questions gives the chunks again, under the same ids.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import platformdirs

from budgetmem.assets import asset_dir
from budgetmem.backbone import Encoder, Vectors
from budgetmem.config import Profile, load_profile
from budgetmem.history import Histories
from budgetmem.local_encoder import LocalEncoder
from budgetmem.store.sqlite import SqliteStore
from training.datasets.base import Dataset, Question
from training.environment import Embedded
from training.outcomes import OutcomeFile

TENANT = "training"


def embedded(
    file: OutcomeFile, dataset: Dataset, cache: Path | None = None, encoder: Encoder | None = None
) -> Embedded:
    """The vectors of the questions of a file and of the chunks retrieved for them.

    They are kept in `cache` (None: in the user's cache), by what they depend on. Raises ConfigError
    or AssetError if the file's profile or its encoder is not there, InvalidInput for questions that
    the dataset lacks.
    """
    cache = cache or platformdirs.user_cache_path("budgetmem") / "vectors"
    wanted = [each.question for each in file.outcomes]
    kept = cache / f"{_digest(file, wanted)}.npz"
    if not kept.exists():
        profile = load_profile(str(file.setting["profile"]))
        encoder = encoder or LocalEncoder(asset_dir(profile.encoder.asset))
        found = asyncio.run(_embed(file, dataset, profile, encoder))
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, suffix=".npz", delete=False) as partial:
            np.savez(partial, **_arrays(found))
        Path(partial.name).replace(kept)
    with np.load(kept) as arrays:
        return Embedded(
            queries=dict(zip(arrays["questions"].tolist(), arrays["queries"], strict=True)),
            chunks=dict(zip(arrays["ids"].tolist(), arrays["chunks"], strict=True)),
        )


async def _embed(
    file: OutcomeFile, dataset: Dataset, profile: Profile, encoder: Encoder
) -> Embedded:
    wanted = {each.question for each in file.outcomes}
    asked = [q for q in dataset.questions(str(file.setting["split"])) if q.id in wanted]
    with tempfile.TemporaryDirectory(prefix="budgetmem-") as folder:
        histories = Histories(SqliteStore(Path(folder)), encoder, profile.retrieval)
        turns = dataset.histories()
        for history in sorted({question.history for question in asked}):
            await histories.ingest(TENANT, history, turns[history])
        return await _retrieve_all(histories, asked, int(file.setting["max_tokens"]))


async def _retrieve_all(
    histories: Histories, asked: Sequence[Question], max_tokens: int
) -> Embedded:
    queries: dict[str, Vectors] = {}
    chunks: dict[str, Vectors] = {}
    for question in asked:
        found = await histories.retrieve(TENANT, question.history, question.text, max_tokens)
        if found.query is not None:
            queries[question.id] = found.query
        chunks.update(found.vectors)
    return Embedded(queries, chunks)


def _arrays(found: Embedded) -> dict[str, np.ndarray]:
    return {
        "questions": np.array(list(found.queries)),
        "queries": np.stack(list(found.queries.values())),
        "ids": np.array(list(found.chunks)),
        "chunks": np.stack(list(found.chunks.values())),
    }


def _digest(file: OutcomeFile, questions: Sequence[str]) -> str:
    parts = [str(sorted(file.setting.items(), key=str)), *questions]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
