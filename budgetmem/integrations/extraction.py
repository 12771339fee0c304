"""What retrievers share: a history, the options of its queries, and what a result tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from typing_extensions import Unpack

from budgetmem.client import QueryOptions
from budgetmem.errors import InvalidInput
from budgetmem.evidence import evidence_of
from budgetmem.integrations.clients import Calls, Clients
from budgetmem.plain import plain
from budgetmem.types import Memory


@dataclass(frozen=True)
class Extraction:
    """Extracts from one history; `options` hold where a call does not say otherwise."""

    history: str
    clients: Clients
    options: QueryOptions = field(default_factory=QueryOptions)

    def extract(self, query: str, **options: Unpack[QueryOptions]) -> Memory:
        """See `Client.extract`."""
        return self.clients.run(partial(self._extract, query, options))

    async def aextract(self, query: str, **options: Unpack[QueryOptions]) -> Memory:
        """See `Client.extract`."""
        return await self.clients.arun(partial(self._extract, query, options))

    async def _extract(self, query: str, options: QueryOptions, calls: Calls) -> Memory:
        return await calls.extract(self.history, query, **overlaid(self.options, options))


def overlaid(options: QueryOptions, over: QueryOptions) -> QueryOptions:
    """The options, and over them those of a call. Raises InvalidInput for one that there is not:
    frameworks pass on any keyword."""
    for name in over.keys() - QueryOptions.__annotations__.keys():
        known = ", ".join(QueryOptions.__annotations__)
        raise InvalidInput(name, f"unknown option of a query; there are {known}")
    return options | over


def metadata_of(history: str, memory: Memory) -> dict[str, Any]:
    """What comes beside the text of a memory, as JSON values: where from, and the receipt."""
    evidence = evidence_of(memory)
    return {
        "history": history,
        "turn_ids": [turn_id for each in evidence for turn_id in each.turn_ids],
        "evidence": plain(evidence),
        "receipt": plain(memory.receipt),
    }
