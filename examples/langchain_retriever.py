"""The memory that a question needs, in a LangChain chain: python -m examples.langchain_retriever

Needs budgetmem[langchain], and a server (`budgetmem serve`); its address may be given.
"""

import sys

from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough

from budgetmem.client import Budget, Client, Tier, Turn
from budgetmem.integrations.langchain import BudgetMemRetriever

TURNS = [Turn("t1", "Ana", "I booked the ferry to Sula Beg for 3 May."), Turn("t2", "Bo", "Good!")]


def main(server: str = "127.0.0.1:50051") -> None:
    """Ingests two turns, and shows a prompt with the memory in it."""
    with Client(server) as client:
        client.ingest("trip", TURNS)
        memory = BudgetMemRetriever(history="trip", client=client, budget=Budget(max_cost_usd=1e-4))
        prompt = ChatPromptTemplate.from_template("{memory}\n\nQuestion: {question}")
        chain = {"memory": memory, "question": RunnablePassthrough()} | prompt  # | a chat model
        print(chain.invoke("When does Ana take the ferry?").to_string())
        [document] = memory.invoke("When does Ana take the ferry?", tier=Tier.LOW)
        print(document.metadata["receipt"]["total"]["cost_usd"], "USD")


if __name__ == "__main__":
    main(*sys.argv[1:])
