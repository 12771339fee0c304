"""Every value survives the wire, whatever its optional parts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from budgetmem.info import (
    CostWeights,
    Frontier,
    FrontierPoint,
    Interval,
    Limits,
    RouterVersion,
    Sample,
)
from budgetmem.pipeline import RetrievedEvent, StepEvent
from budgetmem.tiers import Tier
from budgetmem.types import (
    Answer,
    Budget,
    Choice,
    Chunk,
    Fallback,
    Finding,
    Memory,
    Receipt,
    Step,
    Turn,
    Usage,
)
from budgetmem.wire import admin, events, info, requests, results, values
from tests.server.fake_engine import INFO

MODULES = ("filter", "entity", "temporal", "topic", "summary")
text = st.text(st.characters(codec="utf-8"), max_size=8)
ids = st.lists(text, max_size=3).map(tuple)
names = st.dictionaries(text, text, max_size=2)
real = st.floats(allow_nan=False)
amount = st.floats(min_value=0, allow_infinity=False)
count = st.integers(0, 2**31 - 1)
zones = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
times = st.none() | st.datetimes() | st.datetimes(timezones=zones)
tiers = st.sampled_from(Tier)
turns = st.builds(Turn, text, text, text, times, text, st.none() | text, names)
chunks = st.builds(Chunk, text, text, times, ids, text, count, real)
findings = st.builds(Finding, text, text, ids, names, st.none() | real)
found = st.dictionaries(text, st.lists(findings, max_size=2).map(tuple), max_size=3)
usages = st.builds(Usage, count, count, amount, amount, count, count, count)
choices = st.builds(
    Choice,
    tiers,
    st.tuples(amount, amount, amount),
    st.dictionaries(tiers, text, max_size=3),
    st.none() | amount,
)
fallbacks = st.lists(st.builds(Fallback, text, text), max_size=2).map(tuple)
steps = st.builds(Step, text, choices, text, usages, fallbacks, st.none() | real, st.none() | text)
receipts = st.builds(
    Receipt,
    text,
    text,
    st.lists(steps, max_size=2).map(tuple),
    usages,
    st.none() | usages,
    usages,
    ids,
    ids,
    ids,
)
memories = st.builds(Memory, text, found, st.lists(chunks, max_size=2).map(tuple), receipts)
budgets = st.builds(
    Budget,
    st.dictionaries(st.sampled_from(MODULES), tiers),
    st.none() | amount,
    st.none() | amount,
    st.none() | amount,
)


@given(turns)
def test_turns(turn):
    assert values.decode_turn(values.encode_turn(turn)) == turn


@given(st.builds(Answer, text, memories, receipts))
def test_answers(answer):
    assert results.decode_answer(results.encode_answer(answer)) == answer


@given(
    memories
    | st.builds(RetrievedEvent, st.lists(chunks, max_size=2).map(tuple))
    | st.builds(StepEvent, steps, st.lists(findings, max_size=2).map(tuple))
)
def test_events(event):
    assert events.decode_event(events.encode_event(event)) == event


@given(budgets, times, st.none() | st.integers(1, Limits.retrieval_tokens))
def test_queries(budget, asked_at, max_tokens):
    message = requests.encode_query(
        "h", "q", budget=budget, asked_at=asked_at, max_tokens=max_tokens
    )
    query = requests.decode_query(message, Limits(), MODULES)
    assert (query.budget, query.asked_at, query.max_tokens) == (budget, asked_at, max_tokens)


versions = st.lists(st.builds(RouterVersion, text, text, text), max_size=3)


@given(versions.map(tuple))
def test_reloaded_routers(routers):
    assert admin.decode_reloaded(admin.encode_reloaded(routers)) == routers


samples = st.lists(st.builds(Sample, text, names, real), max_size=3)


@given(samples.map(tuple))
def test_metrics(told):
    assert admin.decode_metrics(admin.encode_metrics(told)) == told


ranges = st.dictionaries(text, st.builds(CostWeights, amount, amount), max_size=2)
intervals = st.builds(Interval, real, real, real)
points = st.lists(st.builds(FrontierPoint, amount, intervals, intervals), max_size=2).map(tuple)
frontiers = st.dictionaries(text, st.builds(Frontier, text, text, count, points), max_size=2)


@given(names, ranges, frontiers)
def test_the_routers_of_a_server(routers, cost_weights, frontiers):
    told = replace(INFO, routers=routers, cost_weights=cost_weights, frontiers=frontiers)
    assert info.decode_info(info.encode_info(told)) == told
