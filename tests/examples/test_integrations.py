"""The examples of the integrations, run as they are against a server with fake models."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.served import served

EXAMPLES = Path(__file__).parents[2] / "examples"
FRAMEWORKS = {
    "langchain_retriever": "langchain_core",
    "langgraph_store": "langgraph",
    "llama_index_retriever": "llama_index.core",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with served(tmp_path_factory.mktemp("data")) as address:
        yield address


# Most of it is the frameworks' imports.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_example_shows_memory_and_cost(address, capsys, name):
    pytest.importorskip(FRAMEWORKS[name])
    import_module(f"examples.{name}").main(address)
    printed = capsys.readouterr().out
    said = "Ardvane" if name == "langgraph_store" else "ferry to Sula Beg"
    assert said in printed
    assert re.search(r"cost_usd|\d USD", printed)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_example_is_short(name):
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 30
