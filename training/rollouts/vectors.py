"""The vectors that recorded outcomes refer to: made anew from the dataset, by the local encoder.

A file of outcomes holds no text and no vectors; it names questions and chunks. Ingesting the same
histories and asking the same questions gives the chunks again, under the same ids.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from budgetmem.backbone import Encoder, Vectors
from budgetmem.config import Profile, load_profile
from budgetmem.errors import ConfigError
from budgetmem.history import Histories
from budgetmem.local_encoder import local_encoder
from budgetmem.store.sqlite import SqliteStore
from training.datasets.base import Dataset, Question
from training.datasets.sampling import named
from training.differences import differences
from training.rollouts.environment import Embedded
from training.rollouts.outcomes import OutcomeFile
from training.rollouts.setting import check_embeds_queries, of_profile, tenant_of

FORMAT = 3
"""Of the files in the cache; part of their names, so that older ones are left alone."""


def embedded(
    file: OutcomeFile, dataset: Dataset, cache: Path | None = None, encoder: Encoder | None = None
) -> Embedded:
    """The vectors of the questions of a file and of the chunks retrieved for them.

    They are kept in `cache` (None: in the user's cache), a file for each setting; of a file of
    outcomes that grew, those of the new questions are made. Raises ConfigError or AssetError if the
    file's profile is not there or not as it was, or its encoder is not there, InvalidInput for a
    question that the dataset lacks.
    """
    profile = recorded_profile(file.setting)
    check_embeds_queries(profile)
    cache = cache or platformdirs.user_cache_path("budgetmem") / "vectors"
    kept = cache / f"{_digest(file.setting)}.npz"
    found = _read(kept) if kept.exists() else Embedded({}, {})
    missing = [each.question for each in file.outcomes if each.question not in found.queries]
    if missing:
        encoder = encoder or local_encoder(profile.encoder)
        made = asyncio.run(_embed(file.setting, missing, dataset, profile, encoder))
        found = Embedded({**found.queries, **made.queries}, {**found.chunks, **made.chunks})
        _write(kept, found)
    return found


def recorded_profile(setting: Mapping[str, Any]) -> Profile:
    """The profile that outcomes were recorded with.

    Raises ConfigError if it is not there, or naming what of it, of its weights or of the prompts is
    not as it was: outcomes tell nothing of other models, and their vectors would not be the same.
    """
    profile = load_profile(str(setting["profile"]))
    now = of_profile(profile)
    held = {name: setting.get(name) for name in now}
    if found := differences(held, now):
        raise ConfigError(
            f"the profile {profile.name} is not as the outcomes were recorded with it "
            f"({'; '.join(found)}): record them anew"
        )
    return profile


async def _embed(
    setting: Mapping[str, Any],
    wanted: Sequence[str],
    dataset: Dataset,
    profile: Profile,
    encoder: Encoder,
) -> Embedded:
    asked = named(dataset.questions(str(setting["split"])), wanted)
    with tempfile.TemporaryDirectory(prefix="budgetmem-") as folder:
        histories = Histories(SqliteStore(Path(folder)), encoder, profile.retrieval)
        turns, tenant = dataset.histories(), tenant_of(dataset, profile.encoder)
        for history in sorted({question.history for question in asked}):
            await histories.ingest(tenant, history, turns[history])
        return await _retrieve_all(histories, tenant, asked, int(setting["max_tokens"]))


async def _retrieve_all(
    histories: Histories, tenant: str, asked: Sequence[Question], max_tokens: int
) -> Embedded:
    queries: dict[str, Vectors] = {}
    chunks: dict[tuple[str, str], Vectors] = {}
    for question in asked:
        found = await histories.retrieve(tenant, question.history, question.text, max_tokens)
        if found.query is not None:
            queries[question.id] = found.query
        chunks |= {(question.id, chunk): vector for chunk, vector in found.vectors.items()}
    return Embedded(queries, chunks)


def _read(kept: Path) -> Embedded:
    with np.load(kept) as arrays:
        pairs = map(tuple, arrays["pairs"].tolist())
        return Embedded(
            queries=dict(zip(arrays["questions"].tolist(), arrays["queries"], strict=True)),
            chunks=dict(zip(pairs, arrays["chunks"], strict=True)),
        )


def _write(kept: Path, found: Embedded) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=kept.parent, suffix=".npz", delete=False) as partial:
        np.savez(partial, **_arrays(found))
    Path(partial.name).replace(kept)


def _arrays(found: Embedded) -> dict[str, NDArray[Any]]:
    return {
        "questions": np.array(list(found.queries)),
        "queries": np.stack(list(found.queries.values())),
        "pairs": np.array(list(found.chunks)),
        "chunks": np.stack(list(found.chunks.values())),
    }


def _digest(setting: Mapping[str, Any]) -> str:
    parts = json.dumps([FORMAT, setting], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]
