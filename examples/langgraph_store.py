"""A LangGraph graph that remembers: python -m examples.langgraph_store [HOST:PORT]"""

import sys

from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime

from budgetmem.client import Budget, Client
from budgetmem.integrations.langgraph import BudgetMemStore


def recall(state: MessagesState, runtime: Runtime) -> dict[str, list[tuple[str, str]]]:
    """Puts the memory that the last message needs before the model, and says what it cost."""
    [found] = runtime.store.search(("users", "ana"), query=state["messages"][-1].text)
    print(found.value["receipt"]["total"]["cost_usd"], "USD")
    return {"messages": [("system", f"You remember: {found.value['text']}")]}


def main(server: str = "127.0.0.1:50051") -> None:
    """Puts one item, and runs the graph."""
    with Client(server) as client:
        store = BudgetMemStore(client=client, budget=Budget(max_cost_usd=1e-4))
        store.put(("users", "ana"), "m1", {"text": "I moved to Ardvane.", "speaker": "Ana"})
        graph = StateGraph(MessagesState).add_node(recall).add_edge(START, "recall")
        answered = graph.compile(store=store).invoke({"messages": "Where does Ana live?"})
        print(answered["messages"][-1].text)


if __name__ == "__main__":
    main(*sys.argv[1:])
