"""The gRPC client of BudgetMem, for threads (`Client`) and for asyncio (`AsyncClient`).

    from budgetmem.client import Budget, Client

    with Client("127.0.0.1:50051") as client:
        client.ingest("trip", turns)
        memory = client.extract("trip", "When did Ana book?", budget=Budget(max_cost_usd=2e-5))
        print(memory.text, memory.receipt.total.cost_usd)

Results are the types of `budgetmem.types`, errors those of `budgetmem.errors`: what a caller
would catch beside the pipeline, it catches over the network.
"""

from __future__ import annotations

from budgetmem.client.aio import AsyncClient
from budgetmem.client.calls import QueryOptions
from budgetmem.client.identity import tls
from budgetmem.client.sync import Client
from budgetmem.tiers import Tier
from budgetmem.types import Answer, Budget, Memory, Turn

__all__ = [
    "Answer",
    "AsyncClient",
    "Budget",
    "Client",
    "Memory",
    "QueryOptions",
    "Tier",
    "Turn",
    "tls",
]
