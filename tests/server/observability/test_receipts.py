"""What is counted is what receipts say, no more and no less."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from budgetmem.history import IngestReport
from budgetmem.modules import MODULES
from budgetmem.reasons import REASONS
from budgetmem.tiers import FLOOR, STRATEGIES, Tier
from budgetmem.types import Choice, Fallback, Receipt, Step, Usage
from server.observability.receipts import ReceiptMetrics, reason_of
from tests.server.observability.samples import exposed, value

RUNGS = sorted({str(rung) for cells in STRATEGIES.values() for rung in cells.values()})
counts = st.integers(0, 10_000)
reasons = st.sampled_from([*REASONS, "context: 7 tokens over 8192", "reply: it said 'secret'"])
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cost_usd=st.floats(0, 1),
    milliseconds=st.floats(0, 1e5),
    calls=counts,
    failed_calls=counts,
    cache_hits=counts,
)
choices = st.builds(
    Choice,
    tier=st.sampled_from(Tier),
    probabilities=st.just((0.0, 1.0, 0.0)),
    masked=st.dictionaries(st.sampled_from(Tier), reasons),
)
steps = st.builds(
    Step,
    module=st.sampled_from(sorted(MODULES)),
    choice=choices,
    rung=st.sampled_from([*RUNGS, str(FLOOR)]),
    usage=usages,
    fallbacks=st.lists(st.builds(Fallback, st.sampled_from(RUNGS), reasons), max_size=2).map(tuple),
)
receipts = st.builds(
    Receipt,
    strategy=st.sampled_from(sorted(STRATEGIES)),
    router=st.text(max_size=8),
    steps=st.lists(steps, max_size=5).map(tuple),
    retrieval=usages,
    answer=st.none() | usages,
    total=usages,
    retrieved_chunk_ids=st.lists(st.text(max_size=3), max_size=3).map(tuple),
    kept_chunk_ids=st.lists(st.text(max_size=3), max_size=3).map(tuple),
)


def parts(receipt):
    yield "retrieval", receipt.retrieval
    for step in receipt.steps:
        yield step.module, step.usage
    if receipt.answer is not None:
        yield "answer", receipt.answer


def summed(pairs):
    total = Counter()
    for key, amount in pairs:
        total[key] += amount
    return total


@settings(max_examples=50)
@given(st.lists(receipts, max_size=4))
def test_counts_match_the_receipts(given_receipts):
    registry = CollectorRegistry()
    metrics = ReceiptMetrics(registry)
    for receipt in given_receipts:
        metrics.count(receipt)
    every = [(part, usage) for receipt in given_receipts for part, usage in parts(receipt)]
    for name, labels, field in (
        ("tokens_total", {"direction": "input"}, "input_tokens"),
        ("tokens_total", {"direction": "output"}, "output_tokens"),
        ("cost_usd_total", {}, "cost_usd"),
        ("calls_total", {}, "calls"),
        ("failed_calls_total", {}, "failed_calls"),
        ("cache_hits_total", {}, "cache_hits"),
    ):
        expected = summed((part, getattr(usage, field)) for part, usage in every)
        for part, amount in expected.items():
            found = value(registry, f"budgetmem_{name}", part=part, **labels)
            assert found == pytest.approx(amount), (name, part)
    for part, number in summed((part, 1) for part, _ in every).items():
        name = "budgetmem_part_duration_seconds_count"
        assert value(registry, name, part=part) == number
    ran = summed(
        ((r.strategy, s.module, s.choice.tier.label, s.rung), 1)
        for r in given_receipts
        for s in r.steps
    )
    for (strategy, module, tier, rung), number in ran.items():
        labels = {"strategy": strategy, "module": module, "tier": tier, "rung": rung}
        assert value(registry, "budgetmem_steps_total", **labels) == number
    fallen = summed(
        ((s.module, f.rung, reason_of(f.reason)), 1)
        for r in given_receipts
        for s in r.steps
        for f in s.fallbacks
    )
    for (module, rung, reason), number in fallen.items():
        labels = {"module": module, "rung": rung, "reason": reason}
        assert value(registry, "budgetmem_fallbacks_total", **labels) == number
    masked = sum(len(s.choice.masked) for r in given_receipts for s in r.steps)
    assert sum(exposed(registry).get("budgetmem_masked_tiers_total", {}).values()) == masked


@settings(max_examples=30)
@given(st.lists(receipts, min_size=1, max_size=4))
def test_labels_take_none_but_our_own_values(given_receipts):
    registry = CollectorRegistry()
    metrics = ReceiptMetrics(registry)
    for receipt in given_receipts:
        metrics.count(receipt)
    known = {
        "strategy": set(STRATEGIES),
        "module": set(MODULES),
        "part": {*MODULES, "retrieval", "answer", "ingest"},
        "tier": {tier.label for tier in Tier},
        "rung": {*RUNGS, str(FLOOR)},
        "reason": set(REASONS),
        "direction": {"input", "output"},
        "state": {"retrieved", "kept"},
        "outcome": {"added", "unchanged"},
    }
    for samples in exposed(registry).values():
        for labels in samples:
            for label, at in labels:
                assert label == "le" or at in known[label]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("reply: 'Ana lives in Lisbon' is no JSON", "reply"),
        ("context: 12 tokens over 8192", "context"),
        ("max_cost_usd", "max_cost_usd"),
        ("max_latency_ms", "max_latency_ms"),
        ("deadline", "deadline"),
        ("unavailable", "unavailable"),
        ("did not parse", "other"),
        ("", "other"),
    ],
)
def test_reasons_are_told_by_their_kind(reason, kind):
    assert reason_of(reason) == kind


def test_ingests_count_turns_and_what_the_encoder_read():
    registry = CollectorRegistry()
    ReceiptMetrics(registry).count_ingest(IngestReport(3, 2, 4, 120))
    found = exposed(registry)
    assert found["budgetmem_ingested_turns_total"] == {
        (("outcome", "added"),): 3,
        (("outcome", "unchanged"),): 2,
    }
    assert value(registry, "budgetmem_tokens_total", part="ingest", direction="input") == 120
