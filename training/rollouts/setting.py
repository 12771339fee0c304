"""The setting of recorded outcomes: what their figures depend on, beside question and path.

It is the header of a file of outcomes. Outcomes of two settings are never mixed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache

from budgetmem.assets.catalogue import load_catalogue
from budgetmem.config import ENCODER, TAGGER, EncoderProfile, Profile
from budgetmem.errors import ConfigError
from budgetmem.line_ranking import WEIGHTS
from budgetmem.modules import MODULES
from budgetmem.modules.summary import WORDS
from budgetmem.prompting import fingerprint
from budgetmem.retrieval import RANKINGS
from budgetmem.tiers import STRATEGIES
from training.datasets.base import Dataset

RECIPE_DIGITS = 16


def tenant_of(dataset: Dataset, encoder: EncoderProfile) -> str:
    """Whose histories are walked: those of one dataset alone, as one encoder embeds them.

    Forms of a dataset name their histories alike, and may lie in one store: LongMemEval's S has
    more turns in each than its oracle's. And a history that is there is not embedded again, though
    the encoder's weights may be others by now, or cut texts elsewhere: its vectors would lie beside
    queries of another encoder. Neither recorded replies nor the ids of chunks depend on it.
    """
    embedded_by = [identity(encoder.asset), encoder.max_tokens]
    told = json.dumps(
        [dataset.name, dataset.sha256, dict(dataset.facts), *embedded_by], sort_keys=True
    )
    return f"training-{hashlib.sha256(told.encode()).hexdigest()[:RECIPE_DIGITS]}"


def setting_of(
    profile: Profile,
    dataset: Dataset,
    *,
    dataset_name: str,
    split: str,
    strategy: str,
    max_tokens: int | None,
) -> dict[str, object]:
    """All of it, JSON-able. `dataset_name` opens the dataset again; `max_tokens` is the retrieval
    budget, None for the profile's. No path of this machine is in it."""
    return {
        "dataset": dataset_name,
        "sha256": dataset.sha256,
        "data_options": dict(dataset.facts),
        "split": split,
        "strategy": strategy,
        "rungs": {tier.label: str(rung) for tier, rung in STRATEGIES[strategy].items()},
        "max_tokens": profile.retrieval.max_tokens if max_tokens is None else max_tokens,
        **of_profile(profile),
    }


def of_profile(profile: Profile) -> dict[str, object]:
    """What a profile adds to a setting, and this version's prompts. The retrieval budget is not in
    it: a recording may have another one than the profile."""
    backbones = profile.backbones
    return {
        "profile": profile.name,
        "retrieval": profile.retrieval.model_dump(mode="json", exclude={"max_tokens"}),
        "line_weights": dict(WEIGHTS) if RANKINGS[profile.retrieval.ranking].lines else {},
        "prompts": fingerprint(MODULES.values()),
        "memory_words": {tier.label: words for tier, words in WORDS.items()},
        "generation": profile.generation.model_dump(mode="json"),
        "tiers": dict(profile.tiers),
        "answerer": profile.answerer,
        "backbones": {key: each.identity for key, each in backbones.items()},
        "engines": {key: each.engine for key, each in backbones.items()},
        "templates": {key: each.template for key, each in backbones.items()},
        "contexts": {key: each.context for key, each in backbones.items()},
        "encoder": profile.encoder.asset,
        "encoder_max_tokens": profile.encoder.max_tokens,
        "tagger": profile.tagger.asset,
        "weights": {name: recipe(name) for name in profile.assets},
        "prices": prices(profile),
    }


def prices(profile: Profile) -> dict[str, list[float]]:
    """USD per million tokens, in and out, by model."""
    priced = {key: each.price for key, each in profile.backbones.items()}
    priced |= {ENCODER: profile.encoder.price, TAGGER: profile.tagger.price}
    return {key: [each.input, each.output] for key, each in priced.items()}


def recipe(asset: str) -> str | None:
    """16 hex digits of what an asset's files are made of; None if the catalogue lacks it."""
    return _recipes().get(asset)


def identity(asset: str) -> str:
    """An asset's name with its recipe, so that other weights are never taken for these."""
    made_of = recipe(asset)
    return asset if made_of is None else f"{asset}@{made_of}"


def check_embeds_queries(profile: Profile) -> None:
    """Raises ConfigError for a profile whose retrieval gives no vectors of queries, which routers
    need."""
    ranking = profile.retrieval.ranking
    if not RANKINGS[ranking].vectors:
        raise ConfigError(
            f"profile {profile.name}: with the ranking {ranking!r} no query is embedded, and a "
            "router learns from its vector: use 'lines', 'fused' or 'dense'"
        )


@cache
def _recipes() -> Mapping[str, str]:
    return {name: asset.recipe[:RECIPE_DIGITS] for name, asset in load_catalogue().items()}
