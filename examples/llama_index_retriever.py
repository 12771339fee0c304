"""The memory that a question needs, for LlamaIndex: python -m examples.llama_index_retriever

Needs budgetmem[llama-index], and a server (`budgetmem serve`); its address may be given.
"""

import sys

from llama_index.core.schema import MetadataMode

from budgetmem.client import Budget, Client, Tier, Turn
from budgetmem.integrations.llama_index import BudgetMemRetriever

TURNS = [Turn("t1", "Ana", "I booked the ferry to Sula Beg for 3 May."), Turn("t2", "Bo", "Good!")]


def main(server: str = "127.0.0.1:50051") -> None:
    """Ingests two turns, and shows the memory and its cost."""
    with Client(server) as client:
        client.ingest("trip", TURNS)
        retriever = BudgetMemRetriever("trip", client=client, budget=Budget(max_cost_usd=1e-4))
        [found] = retriever.retrieve("When does Ana take the ferry?")
        print(found.get_content(MetadataMode.LLM))  # what RetrieverQueryEngine shows its model
        [found] = retriever.within(tier=Tier.LOW).retrieve("When does Ana take the ferry?")
        print(found.metadata["receipt"]["total"]["cost_usd"], "USD")


if __name__ == "__main__":
    main(*sys.argv[1:])
