"""The retrievers of LangChain and LlamaIndex, over real doors with a fake engine behind them."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from budgetmem import errors
from budgetmem.client import AsyncClient
from budgetmem.evidence import evidence_of
from budgetmem.plain import plain
from budgetmem.tiers import Tier
from budgetmem.types import Budget
from tests.server.fake_engine import MEMORY

METADATA = {
    "history": "trip",
    "turn_ids": ["t1", "t2"],
    "evidence": plain(evidence_of(MEMORY)),
    "receipt": plain(MEMORY.receipt),
}
CHEAP = Budget(max_cost_usd=1e-5)

# Most of it is the frameworks' imports.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def langchain():
    pytest.importorskip("langchain_core")
    from budgetmem.integrations import langchain

    return langchain.BudgetMemRetriever


@pytest.fixture(scope="module")
def llama_index():
    pytest.importorskip("llama_index.core")
    from budgetmem.integrations import llama_index

    return llama_index.BudgetMemRetriever


def ceilings(server):
    return [request.budget.max_cost_usd for request in server.pipeline.requests]


def test_langchain_gets_the_memory_and_its_receipt(langchain, client):
    [document] = langchain(history="trip", client=client).invoke("When?")
    assert document.page_content == MEMORY.text
    assert document.metadata == METADATA
    json.dumps(document.metadata)


def test_langchain_options_reach_the_pipeline(langchain, client, server):
    retriever = langchain(
        history="trip",
        client=client,
        budget=Budget({"filter": Tier.HIGH}, 0.5),
        tier=Tier.LOW,
        strategy="capacity",
        max_tokens=300,
        asked_at=datetime(2024, 1, 2),
    )
    retriever.invoke("When?")
    [request] = server.pipeline.requests
    low = dict.fromkeys(("entity", "temporal", "topic", "summary"), Tier.LOW)
    assert request.budget == Budget({"filter": Tier.HIGH, **low}, 0.5)
    assert (request.strategy, request.max_tokens) == ("capacity", 300)
    assert request.asked_at == datetime(2024, 1, 2)


async def test_langchain_takes_a_budget_per_call(langchain, client, server):
    async with AsyncClient(server.address) as async_client:
        retriever = langchain(history="trip", client=client, async_client=async_client)
        retriever.invoke("When?", budget=CHEAP)
        await retriever.ainvoke("When?", budget=CHEAP)
        await retriever.bind(budget=CHEAP).ainvoke("When?")
        [document] = await retriever.ainvoke("When?")
    assert ceilings(server) == [1e-5, 1e-5, 1e-5, None]
    assert document.metadata == METADATA
    with pytest.raises(errors.InvalidInput, match="unknown option"):
        retriever.invoke("When?", max_cost_usd=1)


@pytest.mark.parametrize("option", ["max_token", "max_cost_usd", "teir"])
def test_langchain_refuses_an_option_that_there_is_not(langchain, client, option):
    with pytest.raises(ValueError, match=rf"{option}\n.*not permitted"):
        langchain(history="trip", client=client, **{option: 1})


def test_langchain_fields_may_be_configured(langchain, client, server):
    from langchain_core.runnables import ConfigurableField

    budget = ConfigurableField(id="budget")
    retriever = langchain(history="trip", client=client).configurable_fields(budget=budget)
    retriever.with_config(configurable={"budget": CHEAP}).invoke("When?")
    assert ceilings(server) == [1e-5]


def test_errors_are_those_of_the_client(langchain, llama_index, client, server):
    server.pipeline.failure = errors.NotFound("no history 'trip'")
    with pytest.raises(errors.NotFound):
        langchain(history="trip", client=client).invoke("When?")
    with pytest.raises(errors.NotFound):
        llama_index("trip", client=client).retrieve("When?")


def test_llama_index_gets_the_memory_and_its_receipt(llama_index, client):
    from llama_index.core.schema import MetadataMode

    [found] = llama_index("trip", client=client).retrieve("When?")
    assert found.metadata == METADATA
    assert found.score is None
    shown = [found.get_content(mode) for mode in (MetadataMode.LLM, MetadataMode.EMBED)]
    assert shown == [MEMORY.text, MEMORY.text]


async def test_llama_index_takes_a_budget_at_construction_or_for_a_call(
    llama_index, client, server
):
    async with AsyncClient(server.address) as async_client:
        retriever = llama_index(
            "trip", client=client, async_client=async_client, budget=CHEAP, strategy="capacity"
        )
        retriever.retrieve("When?")
        retriever.within(budget=Budget(max_cost_usd=1e-6)).retrieve("When?")
        [found] = await retriever.aretrieve("When?")
    assert found.metadata == METADATA
    assert ceilings(server) == [1e-5, 1e-6, 1e-5]
    assert {request.strategy for request in server.pipeline.requests} == {"capacity"}
    with pytest.raises(errors.InvalidInput, match="unknown option"):
        llama_index("trip", client=client, max_cost_usd=1)
