"""Opens the pipeline on a live Triton for walks, behind a recording of what it has replied.

What `training/record.py` and `training/train.py --live` have in common, their options included.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from budgetmem.config import Profile
from server.assembly import build_engine
from server.serving import loaded
from training.datasets import Dataset, Question
from training.recording import Recording, Tally, recorded
from training.walks import Walker

TENANT = "training"

PATIENCE_S = 3600.0
"""Nobody waits for a single walk: calls that share a prefix wait for the first of them however long
a busy backbone takes to read it, rather than that all of them read it."""

TURN_S = 120.0
"""A turn on a shared device lasts until long replies have ended, rather than that they compete with
those of the next backbone."""


@dataclass(frozen=True)
class LiveOptions:
    """Where the models are, and where what they replied is kept.

    `triton_url` None starts a Triton for the walks. `data_dir` holds the histories, `recording` the
    replies. `concurrency` is how many questions are walked at once.
    """

    triton_url: str | None
    data_dir: Path
    recording: Path
    concurrency: int


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """The options that `live_options` reads."""
    cache = platformdirs.user_cache_path("budgetmem") / "recordings"
    group = parser.add_argument_group("models")
    group.add_argument("--triton-url", help="use this Triton instead of an embedded one")
    group.add_argument(
        "--concurrency", type=int, default=6, help="questions at once (default: %(default)s)"
    )
    group.add_argument(
        "--data-dir", type=Path, default=cache / "histories", help="histories; default: %(default)s"
    )
    group.add_argument(
        "--recording",
        type=Path,
        default=cache / "replies.sqlite",
        help="what models replied: nothing is asked twice; default: %(default)s",
    )


def live_options(args: argparse.Namespace) -> LiveOptions:
    """Of a command line that `add_live_options` described."""
    return LiveOptions(args.triton_url, args.data_dir, args.recording, args.concurrency)


def patient_profile(profile: Profile) -> Profile:
    """The profile with a scheduler for throughput alone."""
    scheduling = profile.scheduling.model_copy(
        update={
            "leader_timeout_s": PATIENCE_S,
            "age_cap_s": PATIENCE_S,
            "device_turn_s": TURN_S,
        }
    )
    return profile.model_copy(update={"scheduling": scheduling})


@asynccontextmanager
async def open_walker(
    options: LiveOptions,
    questions: Sequence[Question],
    *,
    profile: Profile,
    dataset: Dataset,
    strategy: str,
    max_tokens: int | None,
) -> AsyncIterator[tuple[Walker, Tally]]:
    """A walker for these questions, whose histories are ingested, and its tally of replies.

    Raises AssetError for what is not downloaded, BackboneUnavailable for a Triton that does not
    come up.
    """
    with closing(Recording(options.recording)) as recording:
        patient = patient_profile(profile)
        async with loaded(patient, options.triton_url, show_progress=True) as (models, _):
            kept = recorded(models, profile, recording)
            engine = build_engine(profile, kept, options.data_dir)
            turns = dataset.histories()
            for history in sorted({question.history for question in questions}):
                await engine.histories.ingest(TENANT, history, turns[history])
            walker = Walker(
                profile=profile,
                models=kept,
                retriever=engine.histories,  # type: ignore[arg-type]
                dataset=dataset,
                strategy=strategy,
                tenant=TENANT,
                max_tokens=max_tokens,
            )
            yield walker, kept.tally
