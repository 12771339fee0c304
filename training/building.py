"""What ingesting a history takes, worked out from its turns: it may be there already."""

from __future__ import annotations

from collections.abc import Sequence

from budgetmem import chunking, validation
from budgetmem.backbone import TokenCounter
from budgetmem.config import Profile
from budgetmem.prices import PriceBook
from budgetmem.types import Turn
from training.reporting.results import Build


def build_of(turns: Sequence[Turn], profile: Profile, tokens: TokenCounter) -> Build:
    """Of an empty history that gets all these turns at once; `tokens` counts for the encoder.

    Raises DuplicateTurn as an ingest does.
    """
    bounded = chunking.BoundedTokens(tokens)
    sessions = chunking.by_session(validation.without_repeats(turns))
    read = sum(
        unit.tokens
        for name, members in sessions.items()
        for unit in chunking.units(name, members, profile.retrieval.chunking, bounded)
    )
    return Build(read, PriceBook.of(profile).cost(profile.encoder.asset, read))
