"""After any requests, what /metrics says is what the receipts that went out say."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from budgetmem.errors import BudgetMemError
from budgetmem.modules import MODULES
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Budget
from tests.server.observability.house import HISTORY, QUESTION, TENANT, house
from tests.server.observability.samples import exposed


def some_budget(dice):
    ceilings = [None, 0.0, 1e-7, 1e-5, 1e-3]
    tiers = {name: dice.choice(list(Tier)) for name in MODULES if dice.random() < 0.5}
    return Budget(tiers=tiers, max_cost_usd=dice.choice(ceilings))


async def ask(client, dice):
    """A random request: its receipt, or None if it failed."""
    options = {"strategy": dice.choice(list(STRATEGIES)), "budget": some_budget(dice)}
    method = dice.choice([client.extract, client.answer])
    try:
        return (await method(HISTORY, f"{QUESTION} {dice.random()}", **options)).receipt
    except BudgetMemError:
        return None


@pytest.mark.parametrize("seed", range(3))
async def test_counts_match_the_receipts_of_random_requests(tmp_path, seed):
    dice = random.Random(seed)
    async with house(tmp_path) as built:
        async with built.client() as client:
            receipts = await asyncio.gather(*(ask(client, dice) for _ in range(20)))
        found = exposed(built.seen.registry)
    ended = [receipt for receipt in receipts if receipt is not None]
    assert len(ended) > 5
    steps = Counter(
        (receipt.strategy, step.module, step.choice.tier.label, step.rung)
        for receipt in ended
        for step in receipt.steps
    )
    names = ("strategy", "module", "tier", "rung")
    counted = {
        tuple(dict(labels)[name] for name in names): count
        for labels, count in found["budgetmem_steps_total"].items()
    }
    assert counted == steps
    usd = sum(found["budgetmem_cost_usd_total"].values())
    assert usd == pytest.approx(sum(receipt.total.cost_usd for receipt in ended))
    read = sum(
        count
        for labels, count in found["budgetmem_tokens_total"].items()
        if dict(labels)["part"] != "ingest"
    )
    total = [receipt.total for receipt in ended]
    assert read == sum(usage.input_tokens + usage.output_tokens for usage in total)
    codes: Counter[str] = Counter()
    for labels, count in found["budgetmem_requests_total"].items():
        of = dict(labels)
        codes[of["code"]] += count if of["method"] in ("Extract", "Answer") else 0
    assert (codes["OK"], codes.total()) == (len(ended), len(receipts))
    assert TENANT not in str(found)
    assert HISTORY not in str(found)
