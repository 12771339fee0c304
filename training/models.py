"""Opens the pipeline on a live Triton for walks, behind a recording of what it has replied.

What `training/record.py` and `training/train.py --live` have in common, their options included.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from rich.console import Console
from rich.progress import track

from budgetmem.config import Profile
from budgetmem.errors import BudgetMemError
from server.assembly import open_histories
from server.serving import loaded
from server.triton_process import EmbeddedTriton
from training.arguments import positive
from training.datasets import Dataset, Question
from training.rollouts.recording import Recording, Tally, recorded
from training.rollouts.setting import tenant_of
from training.rollouts.walks import Walker

logger = logging.getLogger(__name__)

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
        "--concurrency", type=positive, default=6, help="questions at once (default: %(default)s)"
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

    An embedded Triton that dies is started anew, and calls are retried for longer than that takes.
    Raises AssetError for what is not downloaded, BackboneUnavailable for a Triton that does not
    come up, ConfigError for a recording that cannot be opened.
    """
    with closing(Recording(options.recording)) as recording:
        patient = patient_profile(profile)
        async with (
            loaded(patient, options.triton_url, show_progress=True) as (models, own),
            kept_alive(own),
        ):
            kept = recorded(models, profile, recording)
            histories = open_histories(profile, kept, options.data_dir)
            turns, tenant = dataset.histories(), tenant_of(dataset, profile.encoder)
            wanted = sorted({question.history for question in questions})
            console = Console(stderr=True)
            for history in track(wanted, "histories", console=console, disable=not wanted):
                await histories.ingest(tenant, history, turns[history])
            walker = Walker(
                profile=profile,
                models=kept,
                retriever=histories,
                dataset=dataset,
                strategy=strategy,
                tenant=tenant,
                max_tokens=max_tokens,
            )
            yield walker, kept.tally


@asynccontextmanager
async def kept_alive(own: EmbeddedTriton | None) -> AsyncIterator[None]:
    """Starts the embedded Triton anew whenever it ends by itself, while the block lasts. One that
    does not come up again is told in the log, and left: calls fail, and are counted."""
    watching = asyncio.create_task(_restarted(own))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _restarted(own: EmbeddedTriton | None) -> None:
    while own is not None:
        code = await own.wait_exit()
        logger.error("Triton ended with code %d: starting it anew", code)
        try:
            await own.restart()
        except (BudgetMemError, OSError):
            logger.exception("Triton does not come up again")
            return
