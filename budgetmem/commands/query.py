"""`budgetmem extract` and `budgetmem answer`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from budgetmem.commands.grouped import grouped
from budgetmem.commands.remote import (
    AsJson,
    HistoryName,
    Remote,
    connect,
    print_json,
)
from budgetmem.commands.terminal import printable
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Budget, Memory, Receipt

if TYPE_CHECKING:
    from budgetmem.client import Client, QueryOptions
    from budgetmem.pipeline import Event

TIERS = {tier.label: tier for tier in Tier}

QueryText = Annotated[str, typer.Argument(metavar="QUERY", help="The question.")]
TierLabel = Literal["low", "mid", "high"]
OneTier = Annotated[TierLabel | None, typer.Option("--tier", help="One tier for all modules.")]
TierPins = Annotated[
    str,
    typer.Option(
        "--tiers", metavar="MODULE=TIER,...", help="Tiers by module: filter=low,entity=high."
    ),
]
Strategy = Annotated[
    str, typer.Option("--strategy", help=f"What the tiers mean: {', '.join(STRATEGIES)}.")
]
CostWeight = Annotated[
    float | None,
    typer.Option(
        "--cost-weight",
        help="Weight of cost against quality, >= 0. Default: the least the router was trained for.",
    ),
]
MaxCost = Annotated[float | None, typer.Option("--max-cost-usd", help="Hard ceiling in USD.")]
MaxLatency = Annotated[
    float | None, typer.Option("--max-latency-ms", help="Hard ceiling in milliseconds.")
]
MaxTokens = Annotated[
    int | None, typer.Option("--max-tokens", help="Length of what is retrieved, in tokens.")
]
TIME_FORMS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
AskedAt = Annotated[
    datetime | None,
    typer.Option(
        "--asked-at",
        formats=TIME_FORMS,
        metavar="TIME",
        help='When the question is asked, as 2023-05-08T13:56:00; "last week" counts from it.',
    ),
]


@grouped
def extract(
    history: HistoryName,
    query: QueryText,
    tier: OneTier = None,
    tiers: TierPins = "",
    strategy: Strategy = "implementation",
    cost_weight: CostWeight = None,
    max_cost_usd: MaxCost = None,
    max_latency_ms: MaxLatency = None,
    max_tokens: MaxTokens = None,
    asked_at: AskedAt = None,
    stream: Annotated[bool, typer.Option("--stream", help="Show steps as they end.")] = False,
    *,
    remote: Remote,
    as_json: AsJson = False,
) -> None:
    """Extract the memory that a question needs, and show what every module did and cost.

    \b
    budgetmem extract trip "When did Ana book?" --tier low
    budgetmem extract trip "When did Ana book?" --tiers filter=low,summary=high --stream
    budgetmem extract trip "When did Ana book?" --max-cost-usd 0.00002 --json
    """
    budget = Budget(parse_tiers(tiers), cost_weight, max_cost_usd, max_latency_ms)
    options = _options(strategy, budget, tier, max_tokens, asked_at)
    with connect(remote) as client:
        if stream:
            _show_stream(client, history, query, options, as_json)
            return
        memory = client.extract(history, query, **options)
    if as_json:
        print_json(memory)
    else:
        _show_memory(memory, memory.receipt)


@grouped
def answer(
    history: HistoryName,
    query: QueryText,
    tier: OneTier = None,
    tiers: TierPins = "",
    strategy: Strategy = "implementation",
    cost_weight: CostWeight = None,
    max_cost_usd: MaxCost = None,
    max_latency_ms: MaxLatency = None,
    max_tokens: MaxTokens = None,
    asked_at: AskedAt = None,
    *,
    remote: Remote,
    as_json: AsJson = False,
) -> None:
    """Extract the memory for a question and answer from it alone; one budget covers both.

    \b
    budgetmem answer trip "When did Ana book?" --strategy capacity --tier mid
    """
    budget = Budget(parse_tiers(tiers), cost_weight, max_cost_usd, max_latency_ms)
    options = _options(strategy, budget, tier, max_tokens, asked_at)
    with connect(remote) as client:
        result = client.answer(history, query, **options)
    if as_json:
        print_json(result)
        return
    _show_memory(result.memory, result.receipt)
    typer.echo(f"\nanswer: {printable(result.text)}")


def parse_tiers(text: str) -> dict[str, Tier]:
    """`filter=low,entity=high` to tiers by module; a usage error for anything else."""
    pins: dict[str, Tier] = {}
    for pin in filter(None, text.split(",")):
        module, _, label = (part.strip() for part in pin.partition("="))
        if not module or label not in TIERS:
            raise typer.BadParameter(
                f"{pin!r} is not MODULE=TIER with a tier of {', '.join(TIERS)}",
                param_hint="--tiers",
            )
        pins[module] = TIERS[label]
    return pins


def _options(
    strategy: str,
    budget: Budget,
    tier: TierLabel | None,
    max_tokens: int | None,
    asked_at: datetime | None,
) -> QueryOptions:
    return {
        "strategy": strategy,
        "budget": budget,
        "tier": None if tier is None else TIERS[tier],
        "max_tokens": max_tokens,
        "asked_at": asked_at,
    }


def _show_memory(memory: Memory, receipt: Receipt) -> None:
    from budgetmem.commands.tables import print_receipt

    print_receipt(receipt)
    typer.echo(f"\nmemory:\n{printable(memory.text)}")


def _show_stream(
    client: Client, history: str, query: str, options: QueryOptions, as_json: bool
) -> None:
    for event in client.extract_stream(history, query, **options):
        if as_json:
            print_json({"event": type(event).__name__, "data": event})
        elif isinstance(event, Memory):
            typer.echo()
            _show_memory(event, event.receipt)
        else:
            _show_event(event)


def _show_event(event: Event) -> None:
    from budgetmem.pipeline import RetrievedEvent

    if isinstance(event, RetrievedEvent):
        typer.echo(f"retrieved {len(event.chunks)} chunks")
        return
    typer.echo(f"{event.step.module}: {event.step.choice.tier.label}, {event.step.rung}")
    for finding in event.findings:
        typer.echo("  - " + printable(finding.text).replace("\n", "\n    "))
