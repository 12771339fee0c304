"""A LangChain retriever. Needs the extra `langchain`.

    retriever = BudgetMemRetriever(
        history="trip", client=client, budget=Budget(max_cost_usd=2e-5)
    )
    [document] = retriever.invoke("When did Ana book?")
    [document] = retriever.invoke("When did Ana book?", tier=Tier.HIGH)

The second call has a tier of its own; what else may be given is in docs/integrations.md.
"""

from __future__ import annotations

from datetime import datetime

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict
from typing_extensions import Unpack

from budgetmem.client import AsyncClient, Client, QueryOptions
from budgetmem.integrations.clients import Clients
from budgetmem.integrations.extraction import Extraction, metadata_of
from budgetmem.tiers import Tier
from budgetmem.types import Budget, Memory
from budgetmem.wire.requests import DEFAULT_STRATEGY


class BudgetMemRetriever(BaseRetriever):
    """Retrieves one document: the memory that the query needs, made for it within the budget.

    Its metadata are `history`, `turn_ids` (of the turns that the memory was made from), `evidence`
    (their words) and `receipt`. `client` serves `invoke`, `async_client` serves `ainvoke`; one of
    them is enough for the latter. The other fields are the options of `QueryOptions`; `invoke`,
    `ainvoke` and `bind` take them too, for one call. Raises what `Client.extract` raises.
    """

    # LangChain ignores what it does not know: a misspelled ceiling would be none.
    model_config = ConfigDict(extra="forbid")

    history: str
    client: Client | None = None
    async_client: AsyncClient | None = None
    budget: Budget | None = None
    tier: Tier | None = None
    strategy: str = DEFAULT_STRATEGY
    max_tokens: int | None = None
    asked_at: datetime | None = None
    timeout_s: float | None = None

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        **options: Unpack[QueryOptions],
    ) -> list[Document]:
        return self._documents(self._extraction().extract(query, **options))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        **options: Unpack[QueryOptions],
    ) -> list[Document]:
        return self._documents(await self._extraction().aextract(query, **options))

    def _extraction(self) -> Extraction:
        options: QueryOptions = {
            "strategy": self.strategy,
            "tier": self.tier,
            "max_tokens": self.max_tokens,
            "asked_at": self.asked_at,
            "timeout_s": self.timeout_s,
        }
        if self.budget is not None:
            options["budget"] = self.budget
        return Extraction(self.history, Clients(self.client, self.async_client), options)

    def _documents(self, memory: Memory) -> list[Document]:
        return [Document(page_content=memory.text, metadata=metadata_of(self.history, memory))]
