"""`budgetmem info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from budgetmem.commands.grouped import grouped
from budgetmem.commands.remote import (
    AsJson,
    Remote,
    connect,
    print_json,
)

if TYPE_CHECKING:
    from budgetmem.info import ModelPrice, ServerInfo


@grouped
def info(
    remote: Remote,
    as_json: AsJson = False,
) -> None:
    """Show what the server runs: models, prices, strategies, router, limits."""
    with connect(remote) as client:
        found = client.info()
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(info: ServerInfo) -> None:
    from budgetmem.commands.tables import print_rows

    typer.echo(f"BudgetMem {info.version}, profile {info.profile}: {info.about}")
    typer.echo(
        f"answers by {info.answerer}; retrieval {info.retrieval.ranking}, "
        f"{info.retrieval.max_tokens} tokens\n"
    )
    models = [
        (b.name, ", ".join(t.label for t in b.tiers), b.triton_model, b.weights, *_price(b.price))
        for b in info.backbones
    ]
    task_models = [
        (name, "", model.triton_model, model.weights, *_price(model.price))
        for name, model in (("encoder", info.encoder), ("tagger", info.tagger))
    ]
    header = ("model", "tiers", "on Triton", "weights", "USD/M in", "USD/M out")
    print_rows(header, models + task_models)
    typer.echo()
    print_rows(
        ("strategy", "router", "cost weights", "low", "mid", "high"),
        [(s.name, *_router(s.name, info), s.low, s.mid, s.high) for s in info.strategies],
    )


def _router(strategy: str, info: ServerInfo) -> tuple[str, str]:
    """Its version, and the cost weights that it takes; none for a fixed one."""
    known = info.cost_weights.get(strategy)
    version = info.routers.get(strategy, info.router)
    return version, "" if known is None else f"{known.min:g} to {known.max:g}"


def _price(price: ModelPrice) -> tuple[str, str]:
    return f"{price.input:g}", f"{price.output:g}"
