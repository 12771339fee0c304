"""Histories whose units are made anew, with another encoder or other settings of chunking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from budgetmem.errors import StoreDamaged
from budgetmem.history import Histories


@dataclass(frozen=True)
class ReindexedHistory:
    """What became of a history. `present`: it was made with these settings before; `damaged`: it
    cannot be read. `tokens` were read by the encoder."""

    tenant: str
    history: str
    status: Literal["reindexed", "present", "damaged"]
    chunks: int = 0
    tokens: int = 0


async def reindex_history(histories: Histories, tenant: str, history: str) -> ReindexedHistory:
    """Makes the units of a history anew, unless they are what `histories` would make.

    It is done in one transaction: until then everybody reads the old ones. Raises NotFound,
    Conflict if concurrent writers keep winning, StoreUnavailable.
    """
    try:
        if await histories.is_current(tenant, history):
            return ReindexedHistory(tenant, history, "present")
        report = await histories.reindex(tenant, history)
    except StoreDamaged:
        return ReindexedHistory(tenant, history, "damaged")
    return ReindexedHistory(tenant, history, "reindexed", report.chunks, report.tokens)
