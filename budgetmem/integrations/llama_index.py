"""A LlamaIndex retriever. Needs the extra `llama-index`.

    retriever = BudgetMemRetriever("trip", client=client, budget=Budget(max_cost_usd=2e-5))
    [found] = retriever.retrieve("When did Ana book?")
    [found] = retriever.within(tier=Tier.HIGH).retrieve("When did Ana book?")

The second call has a tier of its own; what else may be given is in docs/integrations.md.
"""

from __future__ import annotations

from llama_index.core.callbacks import CallbackManager
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from typing_extensions import Unpack

from budgetmem.client import AsyncClient, Client, QueryOptions
from budgetmem.integrations.clients import Clients
from budgetmem.integrations.extraction import Extraction, metadata_of, overlaid
from budgetmem.types import Memory


class BudgetMemRetriever(BaseRetriever):
    """Retrieves one node: the memory that the query needs, made for it within the budget.

    Its metadata are `history`, `turn_ids` (of the turns that the memory was made from), `evidence`
    (their words) and `receipt`; prompts and embeddings leave them out. It has no score: nothing was
    ranked against it. `client` serves `retrieve`, `async_client` serves `aretrieve`; one of them is
    enough for the latter. `options` hold for every call. Raises what `Client.extract` raises.
    """

    def __init__(
        self,
        history: str,
        *,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        callback_manager: CallbackManager | None = None,
        **options: Unpack[QueryOptions],
    ) -> None:
        super().__init__(callback_manager)
        self._clients = Clients(client, async_client)
        self._extraction = Extraction(history, self._clients, overlaid(QueryOptions(), options))

    def within(self, **options: Unpack[QueryOptions]) -> BudgetMemRetriever:
        """The same retriever with other options, for example another budget."""
        return BudgetMemRetriever(
            self._extraction.history,
            client=self._clients.client,
            async_client=self._clients.async_client,
            callback_manager=self.callback_manager,
            **overlaid(self._extraction.options, options),
        )

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._nodes(self._extraction.extract(query_bundle.query_str))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._nodes(await self._extraction.aextract(query_bundle.query_str))

    def _nodes(self, memory: Memory) -> list[NodeWithScore]:
        metadata = metadata_of(self._extraction.history, memory)
        node = TextNode(
            text=memory.text,
            metadata=metadata,
            excluded_llm_metadata_keys=list(metadata),
            excluded_embed_metadata_keys=list(metadata),
        )
        return [NodeWithScore(node=node)]
