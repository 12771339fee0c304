"""Nearest neighbours in an evaluation: the classical router, made from a recording as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from budgetmem.config import Profile
from budgetmem.errors import InvalidInput
from training import splits
from training.datasets.base import Dataset, Question
from training.entrants import Entrant
from training.evaluation import yardstick
from training.neighbours import fitted
from training.ppo import greedy
from training.reporting.trained import of_recording
from training.rollouts import outcomes
from training.rollouts.environment import RecordedEnvironment
from training.rollouts.live import Acting
from training.rollouts.outcomes import OutcomeFile
from training.rollouts.setting import recipe
from training.rollouts.vectors import embedded

NEAREST = "nearest"
"""What the router of nearest neighbours is called."""


def nearest(
    file: Path, dataset: Dataset, strategy: str, profile: Profile, questions: Sequence[Question]
) -> Entrant:
    """Nearest neighbours among the questions of a recording.

    Raises InvalidInput for a recording that knows of the histories of these questions, or whose
    vectors are another encoder's, and as `outcomes.read` and `nearest_router`.
    """
    recorded = outcomes.read(file)
    _check_apart(file, recorded, questions)
    asset = profile.encoder.asset
    held = recorded.setting.get("encoder"), recorded.setting.get("weights", {}).get(asset)
    if held != (asset, recipe(asset)):
        raise InvalidInput(
            f"{file}.encoder", f"is not the one of the profile {profile.name}: record it anew"
        )
    router = nearest_router(file, recorded, dataset, strategy)
    return Entrant(NEAREST, of_recording(router.version, recorded.setting), router)


def _check_apart(file: Path, recorded: OutcomeFile, questions: Sequence[Question]) -> None:
    known = {each.history for each in recorded.outcomes}
    if shared := sorted(known & {each.history for each in questions}):
        raise InvalidInput(
            str(file),
            f"has the history {shared[0]!r}, which is evaluated: name a recording of another split",
        )


def nearest_router(file: Path, recorded: OutcomeFile, dataset: Dataset, strategy: str) -> Acting:
    """Of a file of outcomes, read before, for the pipeline that serves.

    Raises InvalidInput for outcomes of other data or of another strategy, and as `embedded`.
    """
    splits.check(str(file), recorded)
    for name, wanted in (("sha256", dataset.sha256), ("strategy", strategy)):
        if recorded.setting[name] != wanted:
            raise InvalidInput(f"{file}.{name}", "is another than the one that is evaluated")
    environment = RecordedEnvironment(recorded, embedded(recorded, dataset))
    policy = fitted(environment, yardstick(environment))
    return Acting(
        partial(greedy, policy),
        environment.dimension,
        recorded.features,
        version=f"nearest-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}",
    )
